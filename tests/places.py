"""Places for the tests of the core: one registry, written down once, and a few short ways to speak of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gateway import config, settings
from gateway.stations import Channel, Contract, Limits, Registry, Station, Threshold

TENANT = "kagawa"
T0 = 1_764_000_000_000  # 2025-11-24T16:00:00Z
MINUTE = 60_000
LEVELS = config.load_levels("jp-2026")
TEN_MINUTES = Contract(interval_s=600.0, grace_s=300.0)  # late after 15 min; silent after 30 min, at rank >= 1 after 15


def threshold(level: str, value: float, valid_from_ms: int | None = None, valid_to_ms: int | None = None) -> Threshold:
    found = LEVELS.by_key(level)
    assert found is not None, level
    return Threshold(level, found.rank, value, "県", "基準水位観測所", "test", valid_from_ms, valid_to_ms)


def thresholds(**levels: float) -> tuple[Threshold, ...]:
    return tuple(threshold(level, value) for level, value in levels.items())


# Kamogawa-shinbashi on the Ayagawa: two of its thresholds stand 5 cm apart.
AYAGAWA = thresholds(caution=2.75, evacuation=3.95, danger=4.00, overflow=4.45)
ALL_FIVE = thresholds(standby=1.0, caution=2.0, evacuation=3.0, danger=4.0, overflow=5.0)

WATER_LEVEL = Channel(
    "water_level",
    "water_level",
    TEN_MINUTES,
    limits=Limits(sensor=(-0.5, 10.0), user=(-0.2, 6.0)),
    thresholds=AYAGAWA,
)


def station(
    name: str,
    device: str,
    *channels: Channel,
    tenant: str = TENANT,
    name_ja: str = "鴨川新橋",
    name_en: str = "Kamogawa",
) -> Station:
    found = {channel.name: channel for channel in channels}
    return Station(tenant, name, name_ja, name_en, 34.25, 133.93, device, "T.P.", 12.5, found)


def graded(*marks: Threshold, contract: Contract = TEN_MINUTES, limits: Limits | None = None) -> Station:
    """A station whose one channel has these thresholds."""
    limits = limits or WATER_LEVEL.limits
    return station("kamogawa", "gw-1", replace(WATER_LEVEL, thresholds=marks, contract=contract, limits=limits))


REGISTRY = Registry(
    [
        station(
            "kamogawa",
            "gw-1",
            WATER_LEVEL,
            Channel("water_temperature", "water_temperature", TEN_MINUTES),
            Channel("storage", "storage", TEN_MINUTES),
        ),
        # Measures the distance from its bridge down to the water; the observation is the level above T.P.
        station(
            "yashima",
            "gw-2",
            Channel("water_level", "water_level", TEN_MINUTES, factor=-1.0, offset=6.5, limits=Limits((-1.0, 6.2))),
        ),
        station("kamogawa", "gw-1", WATER_LEVEL, tenant="tokushima"),
    ],
    LEVELS,
)
BRIDGE = settings.Bridge(store=Path("nowhere.db"), broker=settings.Broker(), alert_topic=False, max_payload=4096)

"""The flood of the demonstration: three stations down the Kasuga river in Takamatsu, one night, one storm.

The river is real; the stations, their bridges, heights and thresholds are invented.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.stations import Threshold

from .river import Pulse, Rating, Reach, Series, simulate

SOURCE = "Suimon demo (fictional)"
LEVEL_TABLE = "jp-2026"
PROFILE = "sim_river_gauge"  # device_profiles/sim_river_gauge.yaml
TENANT = "takamatsu"
RIVER = ("春日川", "Kasuga river")
DURATION_S = 12 * 3600.0
_RANKS = {"standby": 1, "caution": 2, "evacuation": 3, "danger": 4}


@dataclass(frozen=True, slots=True)
class DemoStation:
    """One station of the scenario, with the stretch of river above it. Thresholds and readings are metres above
    the gauge's own zero, which lies `gauge_zero` metres above T.P."""

    id: str
    name_ja: str
    name_en: str
    latitude: float
    longitude: float
    gauge_zero: float
    thresholds: tuple[Threshold, ...]
    reach: Reach
    datum: str = "T.P."

    def threshold(self, level: str) -> float:
        return next(t.value for t in self.thresholds if t.level == level)


def _thresholds(**levels: float) -> tuple[Threshold, ...]:
    return tuple(
        Threshold(level, _RANKS[level], value, authority="県", basis="基準水位観測所", source=SOURCE)
        for level, value in levels.items()
    )


# From the source to the mouth; all names fictional.
STATIONS: tuple[DemoStation, ...] = (
    DemoStation(
        id="sakuradani-bridge",
        name_ja="さくら谷橋",
        name_en="Sakuradani Bridge",
        latitude=34.2486,
        longitude=134.0768,
        gauge_zero=31.40,
        thresholds=_thresholds(standby=1.00, caution=1.50, evacuation=2.20, danger=3.30),
        reach=Reach("sakuradani-bridge", area_km2=13, rating=Rating(zero_m=0.10, a=20)),
    ),
    DemoStation(
        id="midorino-bridge",
        name_ja="みどり野橋",
        name_en="Midorino Bridge",
        latitude=34.2871,
        longitude=134.0824,
        gauge_zero=10.15,
        thresholds=_thresholds(standby=1.30, caution=1.90, evacuation=2.60, danger=3.80),
        reach=Reach("midorino-bridge", 11, Rating(zero_m=0.15, a=24), travel_s=1800, storage_s=900),
    ),
    DemoStation(
        id="umikaze-bridge",
        name_ja="うみかぜ橋",
        name_en="Umikaze Bridge",
        latitude=34.3232,
        longitude=134.0937,
        gauge_zero=0.20,
        thresholds=_thresholds(standby=1.50, caution=2.20, evacuation=2.70, danger=3.00),
        reach=Reach("umikaze-bridge", 10, Rating(zero_m=0.20, a=26), travel_s=2400, storage_s=1200),
    ),
)

# A first shower that wets the ground, then the cloudburst: about 90 mm in all.
STORM: tuple[Pulse, ...] = (
    Pulse(start_s=4500, duration_s=5400, peak_mm_h=26),
    Pulse(start_s=8700, duration_s=7200, peak_mm_h=74),
)


def flood(start_ms: int, duration_s: float = DURATION_S, step_s: float = 60.0, seed: int = 1) -> Series:
    """The night as a series. Whatever the seed: the upper station rises first and peaks first, every station passes
    caution, the lowest passes danger, and all are below standby well before the end of twelve hours."""
    return simulate([s.reach for s in STATIONS], STORM, start_ms, duration_s, step_s, seed)


def by_id() -> Mapping[str, DemoStation]:
    return {s.id: s for s in STATIONS}

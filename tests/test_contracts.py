"""Reporting contracts: what stations.yaml may say of them, and when silence is an alarm by each kind."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from gateway import config, stationfile, yamlfile
from gateway.births import differences
from gateway.bridge.work import Memory
from gateway.stations import DAY_S, Contract, Registry, Station
from tests import world
from tests.outages import DESK
from tests.places import LEVELS, graded

FILE = """
version: 1
tenant: takamatsu
stations:
  minato:
    name: 港橋
    position: {latitude: 34.35, longitude: 134.05}
    datum: T.P.
    gauge_zero: 0.00 m
    device: minato-gw
    channels:
      water_level:
        interval: 10min
        CONTRACT
        thresholds:
          caution: {value: 2.00 m, authority: 県, basis: 危機管理型, source: 試験}
"""


def load(contract: str) -> tuple[list[Station], list[str]]:
    document = yamlfile.parse(FILE.replace("CONTRACT", contract).encode(), "stations.yaml")
    found = stationfile.stations(document, LEVELS)
    return found, [f"{p.line}:{p.col} {p.message}" for p in document.problems]


def contract_of(text: str) -> Contract:
    found, problems = load(text)
    assert not problems
    return found[0].channels["water_level"].contract


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("grace: 5min", Contract(600, 300)),
        ("contract: {kind: ordinary}", Contract(600, 300)),
        (
            "contract: {raised_above: 150 cm, interval_raised: 1min}",
            Contract(600, 300, "ordinary", interval_raised_s=60, raised_above=1.5),
        ),
        (
            "contract: {kind: crisis, raised_above: 1.80 m}",
            Contract(600, 300, "crisis", raised_above=1.8, heartbeat_s=DAY_S),
        ),
        (
            "contract: {kind: crisis, raised_above: 2.00 m, interval_raised: 5min, heartbeat: 12h}",
            Contract(600, 300, "crisis", interval_raised_s=300, raised_above=2.0, heartbeat_s=43_200),
        ),
        (
            "contract: {kind: beacon, router: minato-gw, wet: evacuation}",
            Contract(600, 300, "beacon", router="minato-gw", wet_rank=3),
        ),
    ],
)
def test_what_may_stand(text: str, expected: Contract) -> None:
    """Each kind with what belongs to it, in canonical units; a heartbeat is a day unless stated."""
    assert contract_of(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("contract: {kind: crisi}", "'crisi' is not known. Did you mean 'crisis'? (one of ordinary, crisis, beacon)"),
        (
            "contract: {kind: crisis}",
            "'raised_above' is missing for 'kind: crisis'. Add for example 'raised_above: 1.80 m'",
        ),
        (
            "contract: {kind: crisis, raised_above: 2.10 m}",
            "it begins to transmit at 2.10 m, above caution at 2.00 m, which could never be seen. Set both in the same "
            "reference, the start level at or below",
        ),
        (
            "contract: {kind: crisis, raised_above: 2}",
            "2 has no unit. Did you mean '2 m'?",
        ),
        (
            "contract: {kind: crisis, raised_above: 1.8 m, interval_raised: 1h}",
            "3600 s is longer than the interval (600 s). Above it reports more often",
        ),
        (
            "contract: {kind: crisis, raised_above: 1.8 m, heartbeat: 1min}",
            "60 s is shorter than the interval (600 s), which is for above raised_above",
        ),
        (
            "contract: {raised_above: 1.80 m}",
            "'interval_raised' is missing beside it. Add for example 'interval_raised: 1min'",
        ),
        (
            "contract: {interval_raised: 1min}",
            "'raised_above' is missing beside it. Add for example 'raised_above: 1.80 m'",
        ),
        (
            "contract: {heartbeat: 1d}",
            "heartbeat is for gauges that only say once a day that they live ('kind: crisis'), and this one is "
            "'ordinary'. Leave it out",
        ),
        (
            "contract: {kind: beacon, router: minato-gw}",
            "'wet' is missing for 'kind: beacon'. Add for example 'wet: evacuation'",
        ),
        (
            "contract: {kind: beacon, router: minato-gw, wet: flooded}",
            "'flooded' is no level above normal of level table jp-2026 (one of standby, caution, dispatch, evacuation, "
            "danger, overflow)",
        ),
        (
            "contract: {kind: beacon, router: minato-gv, wet: danger}",
            "'minato-gv' is neither a device nor the router of another beacon, so that its failure could not be told "
            "from water. Did you mean 'minato-gw'? (only minato-gw)",
        ),
        ("contract: {wett: danger}", "unknown key 'wett'. Did you mean 'wet'? (one of kind, raised_above, "
         "interval_raised, heartbeat, router, wet)"),
        ("contract: daily", "'daily' stands where a mapping is expected (keys: kind, raised_above, interval_raised, "
         "heartbeat, router, wet)"),
    ],
)  # fmt: skip
def test_mistake(text: str, expected: str) -> None:
    """Each mistake is told once, with what would be right."""
    found, problems = load(text)
    assert [p.split(" ", 1)[1] for p in problems] == [expected]
    assert found == [] or "neither a device" in expected


ORDINARY = Contract(600, 300)
QUICK = Contract(60, 30)
RAISING = Contract(600, 300, interval_raised_s=60, raised_above=1.5)
CRISIS = Contract(600, 300, "crisis", raised_above=1.5, heartbeat_s=DAY_S)
BEACON = Contract(3600, 600, "beacon", router="gw", wet_rank=3)


@pytest.mark.parametrize(
    ("what", "contract", "rank", "value", "raised", "fresh_s", "silent_s"),
    [
        ("calm: three intervals", ORDINARY, 0, 0.4, False, 900, 1800),
        ("at rank 1: two, and at most 15 minutes", ORDINARY, 1, 1.6, False, 900, 900),
        ("while rain falls", ORDINARY, 0, 0.4, True, 900, 900),
        ("never sooner than it is late", Contract(600, 900), 2, 2.5, True, 1500, 1500),
        ("a minute, calm", QUICK, 0, 0.4, False, 90, 180),
        ("a minute, at rank 1", QUICK, 1, 1.6, False, 90, 120),
        ("below its raised level", RAISING, 0, 1.4, False, 900, 1800),
        ("above it", RAISING, 1, 1.6, False, 360, 360),
        ("a crisis gauge at rest", CRISIS, 0, 0.4, False, DAY_S + 300, 1.25 * DAY_S),
        ("a crisis gauge at rest in rain", CRISIS, 0, 0.4, True, DAY_S + 300, 1.25 * DAY_S),
        ("a crisis gauge of which nothing is known", CRISIS, 0, None, False, DAY_S + 300, 1.25 * DAY_S),
        ("a crisis gauge that transmits", CRISIS, 0, 1.5, False, 900, 1800),
        ("and is at rank 2", CRISIS, 2, 2.2, False, 900, 900),
        ("a beacon", BEACON, 0, 0.0, False, 4200, 7800),
        ("a beacon in rain", BEACON, 0, 0.0, True, 4200, 4200),
    ],
)
def test_when_silence_is_an_alarm(
    what: str, contract: Contract, rank: int, value: float | None, raised: bool, fresh_s: float, silent_s: float
) -> None:
    """By kind, rank, last value and what is around."""
    assert contract.fresh_for_s(value) == fresh_s, what
    assert contract.silent_after_s(rank, value, raised) == silent_s, what


@pytest.mark.parametrize(
    ("what", "said", "contract", "expected"),
    [
        ("the same", {"interval_s": 600}, ORDINARY, []),
        ("more often", {"interval_s": 60}, ORDINARY, ["60 s, stations.yaml 600 s"]),
        ("it raises, which nobody asked for", {"interval_s": 600, "interval_raised_s": 10}, ORDINARY, []),
        (
            "it does not raise",
            {"interval_s": 600},
            RAISING,
            ["not raised, stations.yaml 60 s"],
        ),
        ("as agreed", {"interval_s": 600, "interval_raised_s": 60, "raised_above": 1.5}, RAISING, []),
        (
            "late and slowly",
            {"interval_s": 600, "interval_raised_s": 120, "raised_above": 1.8},
            RAISING,
            ["raised 120 s, stations.yaml 60 s", "raised above 1.80 m, stations.yaml 1.50 m"],
        ),
        ("a gauge at rest measures as it likes", {"interval_s": 60}, CRISIS, []),
        ("but starts where it should", {"raised_above": 2.0}, CRISIS, ["raised above 2.00 m, stations.yaml 1.50 m"]),
        ("nonsense", {"interval_s": "often"}, ORDINARY, []),
    ],
)
def test_what_a_device_says_of_its_contract(
    what: str, said: dict[str, object], contract: Contract, expected: list[str]
) -> None:
    """A birth that differs from the configuration is told, channel by channel."""
    station = graded(contract=contract)
    birth = {"channels": [{"station": "kamogawa", "channel": "water_level", **said}, {"station": "elsewhere"}, 3]}
    found = differences(birth, "kagawa", Registry([station], LEVELS))
    assert found == [f"kamogawa/water_level {x}" for x in expected], what


def test_a_distance_is_raised_below() -> None:
    """A radar states the distance below which it is raised; it is compared as the level that it means."""
    station = graded(contract=RAISING)
    radar = replace(station.channels["water_level"], factor=-1.0, offset=6.5)
    registry = Registry([replace(station, channels={"water_level": radar})], LEVELS)
    said = {"station": "kamogawa", "channel": "water_level", "interval_raised_s": 60}
    assert differences({"channels": [said | {"raised_below": 5.0}]}, "kagawa", registry) == []
    assert len(differences({"channels": [said | {"raised_below": 4.0}]}, "kagawa", registry)) == 1


@pytest.mark.parametrize("birth", [None, [], "x", {"channels": 3}, {"channels": [None, {"channel": 3}]}])
def test_a_birth_that_says_nothing(birth: object) -> None:
    """What a birth does not say is no difference."""
    assert differences(birth, "kagawa", Registry([graded()], LEVELS)) == []


def test_a_difference_is_told_and_ends(tmp_path: Path) -> None:
    """A notice that does not ring, once, until the device says otherwise."""
    memory, bridge = Memory("a"), replace(world.bridge(tmp_path / "s.db"), recipients=(DESK,))
    told = []
    for interval in (10, 10, 60):
        batch = world.work(memory, bridge)
        said = {
            "agent": "1",
            "channels": [{"station": "kasuga-bridge", "channel": "water_level", "interval_s": interval}],
        }
        batch.take(world.message(json.dumps(said).encode(), "birth"))
        told += [(n.code.value, n.detail, n.ended_ms is None) for n in batch.notices.values()]
        assert not any(o.rings for o in batch.owed)
        batch.swap_in()
    detail = "kasuga-bridge/water_level 10 s, stations.yaml 60 s"
    assert told == [("contract_differs", detail, True), ("contract_differs", detail, False)]


def test_the_example_of_the_document_is_right(tmp_path: Path) -> None:
    """What ALARM.md shows under its heading is a configuration that loads."""
    text = (Path(__file__).parent.parent / "gateway" / "ALARM.md").read_text(encoding="utf-8")
    section = text.partition("## Reporting contracts")[2].partition("\n## ")[0]
    example = section.partition("```yaml\n")[2].partition("```")[0]
    assert example
    (tmp_path / "stations.yaml").write_text(example, encoding="utf-8")
    (tmp_path / "bridge.yaml").write_text("version: 1\nbroker: {host: localhost}\n", encoding="utf-8")
    _, registry = config.load_bridge(tmp_path)
    kinds = {c.contract.kind for s in registry.stations.values() for c in s.channels.values()}
    assert kinds == {"ordinary", "crisis", "beacon"}

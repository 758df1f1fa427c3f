"""Reporting contracts: what stations.yaml may say of them, and when silence is an alarm by each kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway import config, stationfile, yamlfile
from gateway.stations import DAY_S, Contract, Station
from tests.places import LEVELS

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

"""Scoring: what a recording shows, against what the alarm showed and said."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli import score as score_command
from gateway.cli.main import app
from gateway.model import Change, Transition
from gateway.scoring import lists, site, truth
from gateway.scoring.judging import Score, judge
from gateway.scoring.playing import Player, Read, Shown, Track
from gateway.scoring.truth import Run
from gateway.stations import Channel, Contract, Registry
from simulators.faults import gauge
from tests.places import LEVELS, MINUTE, T0, thresholds
from tests.places import station as place
from tests.test_recordings import DON

STEP = 10 * MINUTE
MARKS = thresholds(caution=2.0, danger=3.9)
CHANNEL = Channel("water_level", "water_level", Contract(600.0, 300.0), thresholds=MARKS)
KEYS = [
    "crossings", "detected", "missed", "false", "false_confirmed", "delay_samples", "flaps", "unconfirmed",
    "stale_shown_as_current",
]  # fmt: skip


def levels(*values: float) -> list[tuple[int, float]]:
    return [(T0 + i * STEP, value) for i, value in enumerate(values)]


def at(sample: float) -> int:
    return T0 + round(sample * STEP)


# --- truth ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "values", "places"),
    [
        ("nothing", [1, 1, 1], []),
        ("a single sample is no crossing", [1, 2, 1, 7, 1], []),
        ("the level itself counts", [1, 2, 2, 1], [(1, 2)]),
        ("two runs", [1, 3, 3, 1, 2, 2, 2], [(1, 2), (4, 6)]),
        ("above from the beginning", [3, 3, 1], [(0, 1)]),
    ],
)
def test_runs(what: str, values: list[float], places: list[tuple[int, int]]) -> None:
    """A crossing is at least two samples in a row at or above the level."""
    found = truth.runs(levels(*values), 2.0)
    assert [(r.first, r.last) for r in found] == places, what
    assert all(r == Run(r.first, r.last, at(r.first), at(r.last)) for r in found)


@pytest.mark.parametrize(
    ("since", "until", "highest"), [(1, 2, 5.0), (2, 2, 5.0), (3, 9, 4.0), (0, 0, 1.0), (-9, -5, -inf)]
)
def test_the_highest_of_a_time(since: int, until: int, highest: float) -> None:
    """From the sample before the first time on: the water stood there until then."""
    assert truth.highest(levels(1, 5, 2, 3, 4), at(since), at(until)) == highest


# --- judging -------------------------------------------------------------------------------------------------------


def track(*shown: tuple[float, int, bool], said: Sequence[Transition] = ()) -> Track:
    entries = [Shown(at(when), rank, lost, not lost) for when, rank, lost in shown]
    return Track(entries, [(t.at_ms, t) for t in said])


def told(change: Change, from_rank: int, to_rank: int, sample: float, confirmed: bool = True) -> Transition:
    return Transition("k", "s", "water_level", "e", change, from_rank, to_rank, at(sample), 1.0, confirmed)


ABOVE = levels(1, 1, 2, 2, 2, 2, 2, 2, 1, 1)  # caution from sample 2 to 7


@pytest.mark.parametrize(
    ("what", "shown", "expected"),
    [
        ("at once", [(2, 2, False)], (1, 0, (0,))),
        ("on the second sample", [(3, 2, False)], (1, 0, (1,))),
        ("shown before", [(1, 4, False)], (1, 0, (0,))),
        ("a sample lost", [(4, 2, False)], (1, 0, (2,))),
        ("too late is missed, though detected", [(6, 2, False)], (1, 1, (4,))),
        ("never", [(0, 1, False)], (0, 1, ())),
        ("only after it was over", [(8, 2, False)], (0, 1, ())),
        ("lost and shown so", [(1, 0, True)], (0, 0, ())),
        ("lost in the middle", [(2, 2, False), (4, 0, True)], (1, 0, (0,))),
        ("gone back to normal while above", [(2, 2, False), (3, 0, False)], (1, 1, (0,))),
    ],
)
def test_missed(what: str, shown: list[tuple[float, int, bool]], expected: tuple[int, int, tuple[int, ...]]) -> None:
    """Missed is truth above a threshold for longer than grace (here 30 min) with neither rank nor loss shown."""
    score, found = judge(ABOVE, CHANNEL, track(*shown))
    assert score.crossings == 1
    assert (score.detected, score.missed, score.delay_samples) == expected, what
    assert [f.what for f in found] == ["missed"] * expected[1]


@pytest.mark.parametrize(
    ("what", "said", "expected"),
    [
        ("a true one", [told(Change.RISE, 0, 2, 3)], (0, 0, 0)),
        ("while nothing is there", [told(Change.RISE, 0, 4, 5)], (1, 1, 0)),
        ("unconfirmed", [told(Change.RISE, 0, 4, 5, confirmed=False)], (1, 0, 1)),
        (
            "unconfirmed, then believed: one alert, and a confirmed one",
            [told(Change.RISE, 0, 4, 5, confirmed=False), told(Change.RISE, 0, 4, 6)],
            (1, 1, 1),
        ),
        (
            "refuted, then again: two",
            [
                told(Change.RISE, 0, 4, 4, confirmed=False),
                told(Change.FALL, 4, 0, 5, confirmed=False),
                told(Change.RISE, 0, 4, 6, confirmed=False),
            ],
            (2, 0, 2),
        ),
        ("long after it was over", [told(Change.RISE, 0, 2, 20)], (1, 1, 0)),
        ("a fall is no alert", [told(Change.FALL, 2, 0, 20)], (0, 0, 0)),
    ],
)
def test_false(what: str, said: list[Transition], expected: tuple[int, int, int]) -> None:
    """A level alert is false where the series was not at that level around its time."""
    series = ABOVE + levels(*[1.0] * 30)[len(ABOVE) :]
    score, _ = judge(series, CHANNEL, track((2, 2, False), said=said))
    assert (score.false, score.false_confirmed, score.unconfirmed) == expected, what


def test_how_far_the_water_stayed_below_a_false_alert() -> None:
    """Metres from the highest around that time up to the level: waves and wrong readings are told apart by it."""
    series = levels(*[1.0] * 4, 3.4, *[1.0] * 20)
    for when, short in ((5, 0.5), (20, 2.9)):
        _, found = judge(series, CHANNEL, track(said=[told(Change.RISE, 0, 4, when)]))
        assert [f.short for f in found if f.what == "false_confirmed"] == [short]


def test_a_crest_that_touches_the_level_is_no_false_alarm() -> None:
    """What stands a centimetre below a level for two samples was there, as far as a gauge can tell."""
    score, _ = judge(levels(1, 3.89, 3.90, 3.89, 1), CHANNEL, track(said=[told(Change.RISE, 2, 4, 2)]))
    assert score.false == 0
    score, _ = judge(levels(1, 1, 3.90, 1, 1), CHANNEL, track(said=[told(Change.RISE, 0, 4, 2)]))
    assert score.false == 1
    score, _ = judge(levels(1, 3.82, 3.90, 3.80, 1), CHANNEL, track(said=[told(Change.RISE, 2, 4, 2)]))
    assert score.false == 0  # the crest reached it, with one sample
    score, _ = judge(levels(1, 3.82, 3.89, 3.80, 1), CHANNEL, track(said=[told(Change.RISE, 2, 4, 2)]))
    assert score.false == 1


def test_flaps() -> None:
    """A rank that is left and confirmed again within an hour has flapped; after two hours it is another rise."""
    rise, fall = Change.RISE, Change.FALL
    said = [told(rise, 0, 2, 1), told(fall, 2, 0, 4), told(rise, 0, 2, 8), told(fall, 2, 0, 9), told(rise, 0, 2, 22)]
    assert judge(ABOVE, CHANNEL, track(said=said))[0].flaps == 1


def test_scores_add_up_and_nothing_stays_nothing() -> None:
    """Counts add, lists follow each other, and what no recording knows stays unknown."""
    a, b = Score(2, 1, 0, 0, 0, (1,), 1, 2, None), Score(1, 1, 0, 1, 0, (0, 3), 0, 1, None)
    assert a + b == Score(3, 2, 0, 1, 0, (1, 0, 3), 1, 3, None)
    assert Score() + a == a


# --- playing -------------------------------------------------------------------------------------------------------


def play(values: Sequence[float | None], *, silent_from: int | None = None) -> tuple[Player, Track]:
    marks = thresholds(caution=2.0, danger=3.9)
    record = levels(*[1.0] * 5, *[2.2] * 5)  # on which the river rose as fast as in the test
    registry, station, channel = site.alone(record, "s", "S", marks, LEVELS)
    player = Player(registry, T0)
    for i, value in enumerate(values):
        heard = silent_from is None or i < silent_from
        player.step(at(i), [Read(station, channel, i + 1, at(i), value)] if heard else [])
    return player, player.tracks[(station.tenant, "s", "water_level")]


def test_the_bridge_s_own_work_is_played() -> None:
    """A rise is seen on its second sample, and a gauge that falls silent above a threshold is held."""
    _, quiet = play([1.0, 1.0, 2.1, 2.2, 2.2, 2.2, 2.2, 2.2], silent_from=5)
    assert [(s.rank, s.lost) for s in quiet.shown] == [(0, False), (2, False), (2, True)]
    assert [t.change for _, t in quiet.said] == [Change.RISE, Change.HELD]
    assert quiet.stale == 0


def test_a_time_in_the_future_is_refused() -> None:
    """As at the bridge: a reading from a future that nobody believes never reaches the alarm."""
    registry, station, channel = site.alone(levels(1, 1, 1), "s", "S", MARKS, LEVELS)
    player = Player(registry, T0)
    player.step(at(0), [Read(station, channel, 1, at(30), 9.0)])
    found = player.tracks[(station.tenant, "s", "water_level")]
    assert (found.refused, found.said) == (1, [])


def test_a_site_s_limits_come_from_its_record_without_its_spikes() -> None:
    """The fastest rise is that of the river: one reading of nine metres moves nothing."""
    calm = [1.0 + 0.1 * i for i in range(10)]
    spiky = [*calm[:5], 9.0, *calm[6:]]
    assert (site.limits(levels(*spiky), None).rise_per_h or 99) <= 2.5
    assert site.limits(levels(*calm), 3.0).user == (-1.0, 5.0)
    assert site.limits(levels(*calm), None).rise_per_h == pytest.approx(1.2)


# --- lists of gauges -----------------------------------------------------------------------------------------------

HOUR = 60 * MINUTE


def entry(code: str, shown: int, age_min: float, value: float, overflow: float | None = 3.5) -> lists.Entry:
    return lists.Entry(T0 + shown * STEP, code, code, T0 + shown * STEP - round(age_min * MINUTE), value, 3.0, overflow)


def test_stale_items_are_not_shown_as_current() -> None:
    """A reading two years old, repeated in each list, is never current and alarms nobody."""
    old = [entry("1", i, 2 * 365 * 24 * 60 + 10 * i, 9.9) for i in range(12)]
    assert lists.score(old, LEVELS) == Score(
        false=0, false_confirmed=0, flaps=0, unconfirmed=0, stale_shown_as_current=0
    )


def test_implausible_items_are_not_confirmed() -> None:
    """More than two metres over the overflow level is suspected, and never confirmed by itself, however long."""
    found = lists.score(
        [*(entry("1", i, 5, 0.5) for i in range(3)), *(entry("1", i, 5, 5.9) for i in range(3, 9))], LEVELS
    )
    assert (found.false_confirmed, found.stale_shown_as_current) == (0, 0)
    assert found.unconfirmed >= 1
    assert (found.crossings, found.detected, found.missed, found.delay_samples) == (None, None, None, None)


def test_each_gauge_has_its_own_levels() -> None:
    """The same height is a flood at one gauge and nothing at another; a level that is missing is none."""
    true = [
        entry(code, i, 5, 0.5 + 0.5 * i, overflow) for i in range(8) for code, overflow in (("1", 3.5), ("2", None))
    ]
    stations = [lists._station(code, [e for e in true if e.code == code]) for code in ("1", "2")]
    marks = [[(t.level, t.value) for t in s.channels["water_level"].thresholds] for s in stations]
    assert marks == [[("danger", 3.0), ("overflow", 3.5)], [("danger", 3.0)]]
    assert lists.score(true, LEVELS).false_confirmed == 0


# --- the command ---------------------------------------------------------------------------------------------------


def suimon(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["score", *map(str, arguments)])


def scored(*arguments: object) -> dict[str, Any]:
    result = suimon(*arguments, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    assert list(found) == KEYS
    return found


@pytest.fixture
def flood(tmp_path: Path) -> Path:
    path = tmp_path / "flood.csv"
    values = [*[0.8] * 12, *(0.8 + 0.2 * i for i in range(18)), *(4.2 - 0.1 * i for i in range(34))]
    rows = [f"2026-06-03T{i // 6 % 24:02d}:{i % 6}0Z,{value:.2f}" for i, value in enumerate(values)]
    path.write_text("time,value\n" + "\n".join(rows) + "\n")
    return path


def test_the_don() -> None:
    """The real recording: 2 + 1 crossings, none missed, none false, each on the first sample that its rule allows."""
    if not DON.exists():
        pytest.skip(f"recording {DON.name} is not in {DON.parent}")
    found = scored("--recording", DON, "--thresholds", "caution=2.0,danger=3.9")
    assert found == {
        "crossings": 3,
        "detected": 3,
        "missed": 0,
        "false": 0,
        "false_confirmed": 0,
        "delay_samples": [1, 1, 0],
        "flaps": 0,
        "unconfirmed": 0,
        "stale_shown_as_current": 0,
    }


def test_without_thresholds_there_is_no_truth(flood: Path) -> None:
    """What a recording cannot tell is null, not zero."""
    found = scored("--recording", flood)
    assert [key for key in KEYS if found[key] is None] == [
        "crossings", "detected", "missed", "false", "false_confirmed", "delay_samples"
    ]  # fmt: skip


def test_faults_are_seeded(flood: Path) -> None:
    """The same faults and seed give the same account; a gauge dead at its crest is not missed but held."""
    arguments = ("--recording", flood, "--thresholds", "caution=2.0,danger=3.9", "--faults", "spikes*2,dropouts")
    assert scored(*arguments, "--seed", 7) == scored(*arguments, "--seed", 7)
    dead = scored(*arguments[:-1], "dead_at_crest", "--seed", 3)
    assert (dead["crossings"], dead["missed"]) == (2, 0)


def test_lists_are_scored_by_their_own_levels(tmp_path: Path) -> None:
    """A file of lists needs no thresholds, and is refused with some."""
    path = tmp_path / "lists.jsonl"
    item = {"code": 1, "name": "x", "obsTime": "2026-06-03T05:50:00+09:00", "level": 9.0, "fladLevel": 3.5, "over": 100}
    path.write_text(json.dumps({"generatedAt": "2026-06-02T20:55:00Z", "items": [item]}) + "\n")
    found = scored("--recording", path)
    assert (found["crossings"], found["false_confirmed"], found["stale_shown_as_current"]) == (None, 0, 0)
    assert suimon("--recording", path, "--thresholds", "danger=3.9").exit_code == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--thresholds", "dangr=3.9"], "--thresholds: unknown level 'dangr'. Did you mean 'danger'?"),
        (["--thresholds", "danger"], "--thresholds: 'danger'; write 'caution=2.0,danger=3.9'"),
        (["--thresholds", "caution=3,danger=2"], "danger 2 is not above caution 3"),
        (["--faults", "spike"], "--faults: unknown fault 'spike'. Did you mean 'spikes'?"),
        (["--faults", "spikes*0"], "--faults: 'spikes*0'; write a number"),
    ],
)
def test_what_cannot_be_scored_is_told(arguments: list[str], message: str, flood: Path) -> None:
    """A mistake on the command line is a sentence with what would be right, and exit code 3."""
    result = suimon("--recording", flood, *arguments)
    assert result.exit_code == 3
    assert message in result.stderr


class Mute:
    """Takes every reading after the first one at a level away."""

    def __init__(self, level: float) -> None:
        self._level = level

    def __getattr__(self, name: str) -> Any:
        return getattr(gauge, name)

    def inject(self, reads: list[gauge.Read], *_: object) -> tuple[list[gauge.Read], list[gauge.Trouble]]:
        last = next(i for i, r in enumerate(reads) if (r.value or 0.0) >= self._level)
        return reads[: last + 1], []


def test_a_gauge_that_dies_on_its_first_sample_above_caution_is_shown_silent_in_time() -> None:
    """The bridge looks once a second, so the silence is shown a second after its limit, not a step of the recording
    later: that is no miss."""
    station = place("here", "here", CHANNEL)
    known = (Registry([station], LEVELS), station, CHANNEL)
    score, found = score_command._one(levels(*[1.0] * 20, *[2.1] * 20, 1.0), known, (), 0, Mute(2.0))
    assert (score.crossings, score.detected, score.missed) == (1, 0, 0), found

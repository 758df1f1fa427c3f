"""What the quality tests make of a series: flags at once, assessments later, and a state that survives."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import msgspec
import pytest

from gateway import quality, qualitylimits
from gateway.model import Flag, Observation
from gateway.quality import EMPTY, NOWHERE, Assessment, State, Surroundings
from gateway.qualitylimits import QualityTests
from gateway.stations import Channel, Contract, Limits
from tests import world
from tests.world import T0

GOOD, NOT_EVALUATED, SUSPECT, FAIL, MISSING = Flag.GOOD, Flag.NOT_EVALUATED, Flag.SUSPECT, Flag.FAIL, Flag.MISSING
MIN = 60_000
HOUR = 60 * MIN
DEFAULTS = qualitylimits.defaults("water_level")
SITE = Limits(sensor=(-1.0, 10.0), rise_per_h=9.0, fall_per_h=2.4)


def level(tests: QualityTests = DEFAULTS, limits: Limits = SITE, step_min: float = 10) -> Channel:
    contract = Contract(step_min * 60, step_min * 30)
    return replace(world.channel(thresholds={"caution": 2.0}), contract=contract, limits=limits, tests=tests)


@dataclass
class Played:
    """What came of a series: flags and alarm flags by time, what was assessed later, and the state."""

    state: State = EMPTY
    observations: dict[int, Observation] = field(default_factory=dict)
    later: list[Assessment] = field(default_factory=list)

    def flags(self) -> list[int]:
        return [int(o.flag) for o in self.observations.values()]

    def latest(self) -> list[int]:
        """With the assessments, in the order of time."""
        flags = {at: int(o.flag) for at, o in self.observations.items()} | {
            x.observed_ms - T0: int(x.flag) for x in self.later
        }
        return [flags[at] for at in sorted(flags)]


def play(
    series: Iterable[tuple[int, float | None]],
    channel: Channel | None = None,
    *,
    now_ms: int | None = None,
    around: Surroundings = NOWHERE,
    onto: Played | None = None,
    log: str = world.LOG,
    first_seq: int = 1,
) -> Played:
    """Each (minutes since T0 as ms, value) as it arrives: at once, or all at `now_ms`. The state goes through JSON
    between any two, as over a restart."""
    out, of = onto or Played(), channel or level()
    for seq, (at, value) in enumerate(series, first_seq):
        span = of.limits.sensor or (-1e9, 1e9)
        flag = MISSING if value is None else GOOD if span[0] <= value <= span[1] else FAIL
        o = world.observation(seq, value, observed_ms=T0 + at, log=log, flag=flag)
        now = T0 + at if now_ms is None else T0 + now_ms
        state, judged, later = quality.assess(out.state, o, of, now, now + 5 * MIN, around)
        out.state = msgspec.json.decode(msgspec.json.encode(state), type=State)
        assert out.state == state
        out.observations[at] = judged
        out.later += later
    return out


def every(minutes: float, values: Sequence[float | None], start: float = 0) -> list[tuple[int, float | None]]:
    return [(round((start + i * minutes) * MIN), v) for i, v in enumerate(values)]


def spoken(played: Played) -> list[str]:
    return [" ".join(o.tests) for o in played.observations.values()]


def test_a_spike_is_known_by_what_comes_after_it() -> None:
    """The newest value cannot be a spike yet: its flag stands, and the next value adds an assessment, by all tests."""
    played = play(every(10, [1.0, 1.0, 1.45, 1.01, 1.02]))
    assert played.flags() == [1, 1, 1, 3, 1]
    assert [(x.observed_ms - T0, x.flag, x.tests) for x in played.later] == [(20 * MIN, SUSPECT, ("spike",))]


@pytest.mark.parametrize(
    ("what", "values"),
    [
        ("a flood that rises 1.0 m and half a metre more", [0.0, 0.0, 1.0, 1.5, 1.5, 1.4]),
        ("the Toga: 1.34 m in ten minutes", [0.3, 0.3, 1.64, 1.7, 1.65]),
        ("a crest that stands for five minutes at 1 cm", [1.98, 1.99, 2.0, 2.0, 2.0, 2.0, 2.0, 1.99]),
    ],
)
def test_a_true_rise_is_not_suspect(what: str, values: list[float]) -> None:
    """Nothing of a true rise is suspect by default, at once or later."""
    played = play(every(10, values))
    assert played.latest() == [1] * len(values), what

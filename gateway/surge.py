"""A tide station whose level is reached by the tide alone: shown, and nobody is rung (`tide.hushed`). When the sea then
stands higher than the tide explains, while the level is still reached, that is news, and rings; no higher level has to
be reached for it. Pure.
"""

from __future__ import annotations

from gateway.channelstate import Step, rank_of
from gateway.model import Change, Observation
from gateway.stations import Threshold

RANK = 2  # the rank that the tide alone may keep from ringing: the lower one never rings, the higher ones always do
SAMPLES = 2  # as many as that rank needs


def noted(step: Step, rank: int, at_ms: int, value: float) -> None:
    """A rank, or another level of it, was reached: whether the tide alone explains it."""
    tide = step.channel.tide
    by_tide = rank == RANK and tide is not None and tide.alone(value, at_ms)
    step.set(tidal=rank if by_tide else 0, surges=0)


def check(step: Step, o: Observation, value: float, marks: tuple[Threshold, ...]) -> None:
    """Whether a sample at a rank that the tide explained is above what the tide explains. Where nothing is predicted
    any more, nothing is explained."""
    state, tide = step.state, step.channel.tide
    if not state.tidal or any(t.change is Change.RISE for t in step.out):
        return
    if state.tidal != state.rank:
        step.set(tidal=0, surges=0)
    elif rank_of(value, marks) < state.rank or (tide is not None and tide.alone(value, o.observed_ms)):
        step.set(surges=0)
    elif state.surges + 1 < SAMPLES:
        step.set(surges=state.surges + 1)
    else:
        step.say(Change.RISE, state.rank, o.observed_ms, value)
        step.set(tidal=0, surges=0)

"""Thresholds that change while an episode is open: shown and logged, but the change by itself neither rings nor clears.
Pure.

What is measured next is judged by the thresholds in force. But until the water itself has moved by `MOVED` from where
it stood at the change,

- a rank that it has only by the change is taken quietly (the map shows it, no phone rings), and rings when the water
  then rises by that much;
- a rank that it has lost only by the change stands.
"""

from __future__ import annotations

from gateway.channelstate import Step, rank_of
from gateway.model import Change
from gateway.stations import Channel, Threshold, threshold_version

MOVED = 0.05  # metres


def check(step: Step, now_ms: int) -> None:
    """Notice that other thresholds are in force than those the open episode went by."""
    state = step.state
    if step.episode is None and not state.rank and not state.unconfirmed:
        if state.marks:
            step.set(marks="", revised=None, hushed=0)
        return
    version = threshold_version(step.channel, now_ms)
    if state.marks and version != state.marks:
        at_ms = _since(step.channel, now_ms, state.usable_ms or 0)
        step.say(Change.THRESHOLDS, state.rank, at_ms, state.value, rings=False)
        step.set(revised=state.value, hushed=0, below=0)
    if version != state.marks:
        step.set(marks=version)


def _since(channel: Channel, now_ms: int, usable_ms: int) -> int:
    """When the thresholds changed: by their dates, else (another file) now."""
    dates = [ms for t in channel.thresholds for ms in (t.valid_from_ms, t.valid_to_ms) if ms is not None]
    return max((ms for ms in dates if usable_ms <= ms <= now_ms), default=now_ms)


def quiet(step: Step, rank: int, value: float, thresholds: tuple[Threshold, ...]) -> bool:
    """The value has this rank only by the change."""
    revised = step.state.revised
    return revised is not None and value <= revised + MOVED and rank <= rank_of(revised, thresholds)


def moved(step: Step, at_ms: int, value: float, target: int) -> None:
    """Whether the water has moved since the change; what was taken quietly rings when it has risen."""
    state = step.state
    if state.revised is None or abs(value - state.revised) <= MOVED:
        return
    if value > state.revised and state.hushed and state.hushed == state.rank >= target:
        step.say(Change.RISE, state.rank, at_ms, value, rings=state.rank >= 2)
    step.set(revised=None, hushed=0)

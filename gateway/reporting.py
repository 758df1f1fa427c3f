"""Reporting contracts: when is silence an alarm? `tick` lets time pass for one channel; `unusable` takes a fault or a
failed value. Pure.
"""

from __future__ import annotations

from gateway.channelstate import ALONE, ChannelState, Context, Step
from gateway.model import Change, Condition, Transition
from gateway.stations import Channel, Station

HOLD_RANK = 2


def unusable(step: Step, at_ms: int, late: bool) -> None:
    """A fault or a failed value: shown at once, announced when it lasts."""
    if late:
        return
    step.set(condition=Condition.FAULTY)
    since = step.state.usable_ms
    if since is None:
        step.set(usable_ms=at_ms)
    else:
        _announce_loss(step, Change.FAULTY, at_ms, (at_ms - since) / 1000)


def _announce_loss(step: Step, change: Change, at_ms: int, unusable_s: float) -> None:
    """Say once that the channel is lost, when it has been so for longer than its contract allows. At rank >= 2
    that is as soon as one report is overdue, and the rank is held."""
    contract, rank = step.channel.contract, step.state.rank
    hold = rank >= HOLD_RANK
    limit = contract.late_after_s if hold else contract.silent_after_s(rank)
    if step.state.lost or unusable_s <= limit:
        return
    step.say(Change.HELD if hold else change, rank, at_ms, step.state.value)
    step.set(lost=True, held=hold, below=0)


def tick(
    state: ChannelState,
    station: Station,
    channel: Channel,
    now_ms: int,
    subscribed_ms: int | None,
    episode: str | None,
    context: Context = ALONE,
) -> tuple[ChannelState, list[Transition]]:
    """The state as time passes. Silence is judged only after the bridge has listened for interval + grace; until
    then an old observation says nothing: unknown."""
    contract = channel.contract
    listened_s = (now_ms - subscribed_ms) / 1000 if subscribed_ms is not None else 0.0
    age_s = (now_ms - state.last_ms) / 1000 if state.last_ms is not None else None
    step = Step(state, station, channel, episode)
    if age_s is not None and age_s < -contract.late_after_s:
        age_s = None  # of a time that this clock does not reach: only how long nothing came says anything
    if age_s is not None and age_s <= contract.late_after_s:
        return state, []
    if listened_s <= contract.late_after_s:
        if state.condition in (Condition.FRESH, Condition.LATE):
            step.set(condition=Condition.UNKNOWN)
        return step.state, []
    silent_for = listened_s if age_s is None else age_s
    if silent_for > contract.silent_after_s(state.rank):
        if state.condition is not Condition.SILENT:
            step.set(condition=Condition.SILENT)
        at_ms = state.last_ms if state.last_ms is not None else subscribed_ms or now_ms
        _announce_loss(step, Change.SILENT, at_ms, silent_for)
    elif state.condition is not Condition.FAULTY and state.condition is not Condition.LATE:
        step.set(condition=Condition.LATE)
    return step.state, step.out

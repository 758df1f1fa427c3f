"""Reporting contracts: when is silence an alarm? `tick` lets time pass for one channel; `unusable` takes a fault or a
failed value; `announce` says that a channel is lost. Pure.

Rules (flood.md, "Reporting contracts"; the limits are those of `stations.Contract`):
- A loss is marked when the contract is broken, and announced at once, or by whoever gathers losses of one cause.
- What is lost at rank >= 2, or while suspect data claim rank >= 4, is held, unconfirmed as it was, and never falls by
  being lost.
- A loss rings where something may be going on: a rank is held or reached, rain falls, a neighbour rises. In the calm it
  is told without ringing; it rings once if rain or a neighbour's rise then comes and nobody has seen it. The same
  channel rings again within an hour only at a higher rank.
- A crisis-management gauge at rest owes its heartbeat only. A beacon whose router is heard is wet when it goes silent.
- A station under maintenance loses nothing; afterwards its channels begin from what comes then.
"""

from __future__ import annotations

from msgspec.structs import replace

from gateway.channelstate import ALONE, ChannelState, Context, Step
from gateway.model import Change, Condition, Observation, Transition
from gateway.stations import Channel, Station

HOLD_RANK = 2
HOLD_CLAIM = 4  # the lowest unconfirmed rank that is held
RING_AGAIN_MS = 60 * 60_000  # a channel that comes and goes


def fresh(state: ChannelState, channel: Channel, now_ms: int, context: Context = ALONE) -> bool:
    """Whether `tick` has nothing to say of it: its newest observation speaks for the present."""
    if state.last_ms is None or state.condition is Condition.MAINTENANCE or context.maintenance:
        return False
    contract, age_ms = channel.contract, now_ms - state.last_ms
    return -contract.late_after_s * 1000 <= age_ms <= contract.fresh_for_s(state.value) * 1000


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
    if context.maintenance:
        return suspended(state), []
    if fresh(state, channel, now_ms):
        return state, []
    step = Step(resumed(state, now_ms), station, channel, episode)
    listened_s, silent_s = _passed(step.state, now_ms, subscribed_ms, channel.contract.late_after_s)
    if listened_s <= channel.contract.late_after_s:
        if step.state.condition in (Condition.FRESH, Condition.LATE):
            step.set(condition=Condition.UNKNOWN)
        return step.state, []
    if channel.contract.kind == "beacon" and context.router_s is not None and step.state.last_ms is not None:
        _beacon(step, min(silent_s, context.router_s), context)
    elif silent_s > channel.contract.silent_after_s(_reached(step.state), step.state.value, context.near.raised):
        if step.state.condition is not Condition.SILENT:
            step.set(condition=Condition.SILENT)
        at_ms = step.state.last_ms if step.state.last_ms is not None else subscribed_ms or now_ms
        _lose(step, at_ms, silent_s, now_ms, context)
    elif step.state.condition not in (Condition.FAULTY, Condition.LATE) and silent_s > _fresh_s(step):
        step.set(condition=Condition.LATE)
    return step.state, step.out


def _passed(state: ChannelState, now_ms: int, subscribed_ms: int | None, late_after_s: float) -> tuple[float, float]:
    """Seconds that the bridge has listened for this channel, and for which nothing came. Of a time that this clock does
    not reach, or before the channel began anew, only how long nothing came says anything."""
    begun_ms = None if subscribed_ms is None else max(subscribed_ms, state.since_ms)
    listened_s = 0.0 if begun_ms is None else (now_ms - begun_ms) / 1000
    if state.last_ms is None or now_ms - state.last_ms < -late_after_s * 1000 or state.last_ms < state.since_ms:
        return listened_s, listened_s
    return listened_s, (now_ms - state.last_ms) / 1000


def _fresh_s(step: Step) -> float:
    """How long nothing may come. Of a crisis-management gauge that was never heard of that is its heartbeat: unknown,
    and not late before it is over."""
    return step.channel.contract.fresh_for_s(step.state.value)


# --- losses ----------------------------------------------------------------------------------------------------------


def unusable(step: Step, at_ms: int, late: bool, now_ms: int, context: Context = ALONE) -> None:
    """A fault or a failed value: shown at once, announced when it lasts."""
    if late:
        return
    step.set(condition=Condition.FAULTY)
    since = step.state.usable_ms
    if since is None:
        step.set(usable_ms=at_ms)
    else:
        _lose(step, at_ms, (at_ms - since) / 1000, now_ms, context)


def _reached(state: ChannelState) -> int:
    """The highest rank that data, good or suspect, have claimed."""
    return max(state.rank, state.unconfirmed)


def _holds(state: ChannelState) -> bool:
    return state.rank >= HOLD_RANK or state.unconfirmed >= HOLD_CLAIM


def _limit_s(step: Step, context: Context) -> float:
    """How long a channel may give nothing usable."""
    state, contract = step.state, step.channel.contract
    if _holds(state):
        return contract.fresh_for_s(state.value)
    if state.condition is Condition.FAULTY and contract.rests(state.value):
        return contract.late_after_s  # a heartbeat that says it is broken
    return contract.silent_after_s(_reached(state), state.value, context.near.raised)


def _lose(step: Step, at_ms: int, unusable_s: float, now_ms: int, context: Context) -> None:
    """Mark that the channel is lost, when it has been so for longer than its contract allows."""
    limit_s = _limit_s(step, context)
    if unusable_s <= limit_s:
        return
    if step.state.lost_ms is None:
        step.set(lost_ms=at_ms, lost_seen_ms=now_ms, held=_holds(step.state), below=0)
    if not step.state.lost:
        if not context.gathered:
            announce(step, now_ms, serious(step.state, context))
    elif context.near.raised and not context.seen and step.state.rung_ms < step.state.lost_seen_ms:
        _ring_of_known(step, now_ms, round(limit_s * 1000))


def serious(state: ChannelState, context: Context) -> bool:
    """Whether the loss of this channel may hide a danger now, so that it rings."""
    return state.held or _reached(state) >= 1 or context.near.raised


def announce(step: Step, now_ms: int, rings: bool) -> None:
    """Say once that the channel is lost. It rings where `rings`, but a channel that comes and goes once an hour."""
    state = step.state
    if state.lost_ms is None:
        raise ValueError("the channel is not lost")
    claimed = state.held and state.unconfirmed > state.rank
    rank = state.unconfirmed if claimed else state.rank
    rings = rings and not rung_lately(state, now_ms)
    step.say(_change(state), rank, state.lost_ms, state.value, confirmed=not claimed, rings=rings, from_rank=rank)
    told(step, now_ms, rings)


def told(step: Step, now_ms: int, rang: bool) -> None:
    """The loss is announced, by this channel or with others."""
    state = step.state
    step.set(lost=True)
    if rang:
        step.set(rung_ms=now_ms, rung_rank=_reached(state))


def rung_lately(state: ChannelState, now_ms: int) -> bool:
    """Somebody was rung for a loss of this channel within the hour, and nothing worse has come of it."""
    higher = _reached(state) > state.rung_rank
    return not higher and 0 <= now_ms - state.rung_ms < RING_AGAIN_MS


def _change(state: ChannelState) -> Change:
    if state.held:
        return Change.HELD
    return Change.FAULTY if state.condition is Condition.FAULTY else Change.SILENT


def _ring_of_known(step: Step, now_ms: int, limit_ms: int) -> None:
    """A loss that was told in the calm, and now rain falls or a neighbour rises. Its time is when the channel was lost
    by the stricter rule, which makes it another transition than the one that was told."""
    state = step.state
    if state.lost_ms is None or rung_lately(state, now_ms):
        return
    step.say(_change(state), state.rank, state.lost_ms + limit_ms, state.value)
    told(step, now_ms, rang=True)


def _beacon(step: Step, silent_s: float, context: Context) -> None:
    """A beacon that is silent while its router is heard: water, as far as anybody can tell."""
    state, contract = step.state, step.channel.contract
    if silent_s <= contract.silent_after_s(state.rank, state.value, context.near.raised):
        if state.condition is Condition.FRESH or state.condition is Condition.UNKNOWN:
            step.set(condition=Condition.LATE)
        return
    step.set(condition=Condition.SILENT)
    if contract.wet_rank > _reached(state) and state.last_ms is not None:
        rings = contract.wet_rank >= HOLD_RANK
        step.say(Change.RISE, contract.wet_rank, state.last_ms, None, confirmed=False, rings=rings)
        step.set(unconfirmed=contract.wet_rank)


# --- maintenance -----------------------------------------------------------------------------------------------------


def suspended(state: ChannelState, o: Observation | None = None) -> ChannelState:
    """Under maintenance: what is measured is shown, and nothing follows from it."""
    if o is not None and (state.last_ms is None or o.observed_ms > state.last_ms):
        return ChannelState(
            condition=Condition.MAINTENANCE, last_ms=o.observed_ms, value=o.value, flag=o.flag, log=o.log, seq=o.seq
        )
    if state.condition is Condition.MAINTENANCE:
        return state
    was = {"last_ms": state.last_ms, "value": state.value, "flag": state.flag, "log": state.log, "seq": state.seq}
    return ChannelState(condition=Condition.MAINTENANCE, **was)  # type: ignore[arg-type]


def resumed(state: ChannelState, now_ms: int) -> ChannelState:
    """After maintenance: nothing is known, and silence counts from now."""
    if state.condition is not Condition.MAINTENANCE:
        return state
    return replace(state, condition=Condition.UNKNOWN, value=None, since_ms=now_ms)

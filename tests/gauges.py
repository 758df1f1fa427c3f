"""One channel under test, told its observations and its time."""

from __future__ import annotations

from dataclasses import replace

from gateway.alerting import advance, settle
from gateway.channelstate import ALONE, ChannelState, Context
from gateway.errors import FaultCode
from gateway.model import ClockState, Flag, Observation, Transition
from gateway.reporting import tick
from gateway.stations import Channel, Contract, Station, Threshold
from tests.places import MINUTE, T0, graded


def observation(
    at_ms: int, value: float | None, flag: Flag = Flag.GOOD, fault: FaultCode = FaultCode.NO_ECHO
) -> Observation:
    """Of the channel of `places.graded`; None is a fault."""
    flag = flag if value is not None else Flag.MISSING
    code = fault if value is None else None
    return Observation(
        "kagawa", "gw-1", "kamogawa", "water_level", "a1", 1, 0, at_ms, at_ms, value, value, flag, (), code
    )


def say(t: Transition) -> str:
    """ "rise 0->2 unconfirmed quiet": quiet is what does not ring."""
    ranks = f"{t.from_rank}->{t.to_rank}" if t.from_rank != t.to_rank else f"{t.to_rank}"
    return f"{t.change} {ranks}{'' if t.confirmed else ' unconfirmed'}{'' if t.rings else ' quiet'}"


class Gauge:
    """Times are minutes after T0. `rise` and `fall` are the site's plausible rates, metres an hour."""

    def __init__(
        self,
        *marks: Threshold,
        contract: Contract | None = None,
        rank: int = 0,
        rise: float | None = None,
        fall: float | None = None,
    ) -> None:
        found = graded(*marks, contract=contract) if contract else graded(*marks)
        channel = found.channels["water_level"]
        limits = replace(channel.limits, rise_per_h=rise, fall_per_h=fall)
        self.channel: Channel = replace(channel, limits=limits)
        self.station: Station = replace(found, channels={"water_level": self.channel})
        self.state = ChannelState(rank=rank)
        self.transitions: list[Transition] = []
        self.episode: str | None = None

    def revise(self, *marks: Threshold) -> None:
        """The station begins anew with other thresholds."""
        self.channel = replace(self.channel, thresholds=marks)
        self.station = replace(self.station, channels={"water_level": self.channel})

    def observe(
        self,
        minute: float,
        value: float | None,
        flag: Flag = Flag.GOOD,
        arrives: float | None = None,
        context: Context = ALONE,
        fault: FaultCode = FaultCode.NO_ECHO,
        clk: ClockState = ClockState.SYNCED,
        tests: tuple[str, ...] = (),
        alarm: Flag | None = None,
    ) -> list[str]:
        now = T0 + round((minute if arrives is None else arrives) * MINUTE)
        o = replace(observation(T0 + round(minute * MINUTE), value, flag, fault), clk=clk, tests=tests, alarm=alarm)
        self.state, out = advance(self.state, o, self.station, self.channel, now, self.episode, context)
        self.transitions += out
        return [say(t) for t in out]

    def tick(self, minute: float, subscribed: float | None = -1000.0) -> list[str]:
        since = None if subscribed is None else T0 + round(subscribed * MINUTE)
        now = T0 + round(minute * MINUTE)
        self.state, due = settle(self.state, self.station, self.channel, now, self.episode)
        self.state, out = tick(self.state, self.station, self.channel, now, since, self.episode)
        self.transitions += due + out
        return [say(t) for t in due + out]

    def story(self, *values: float | None, start: float = 0, every: float = 10, context: Context = ALONE) -> list[str]:
        """Good values (None: faults) at even intervals; every transition they made."""
        return [t for i, value in enumerate(values) for t in self.observe(start + i * every, value, context=context)]

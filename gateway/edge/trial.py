"""A configuration that was pushed from afar, on trial: it is applied, and stands once the bridge was heard under it;
else the device goes back by itself to the last good one. Pure: each step is a function from one state of the card's
file to the next, and each state is written whole before anything is done by it.

The configuration that stands on the device itself is the ground under all: a push holds as long as that is not edited,
for whoever stands at the device has the last word.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec.structs import replace

from gateway.errors import CommandCode
from gateway.wire import CommandReply

MOST_DONE = 64  # commands whose answer is remembered, so that a repeated one is done once

Run = Literal["base", "good", "trial"]


class Done(msgspec.Struct, frozen=True):
    """The newest answer to a command."""

    expires_ms: int
    reply: CommandReply


class Standing(msgspec.Struct, frozen=True):
    """A pushed configuration: its folder, and the digest of the device's own edge.yaml over which it was pushed."""

    folder: str
    base: str


class Trial(msgspec.Struct, frozen=True):
    """`starts`: how often the agent was started by it. More than once without contact is once too often."""

    folder: str
    base: str
    id: str
    expires_ms: int
    within_s: float
    starts: int = 0


class State(msgspec.Struct, frozen=True):
    """What the card knows. Without `good` the device's own configuration is the good one."""

    good: Standing | None = None
    trial: Trial | None = None
    done: dict[str, Done] = {}

    @property
    def folders(self) -> set[str]:
        return {x.folder for x in (self.good, self.trial) if x is not None}


def answered(state: State, expires_ms: int, reply: CommandReply) -> State:
    """With the answer to a command; the oldest are forgotten, which are expired for long."""
    done = {k: v for k, v in state.done.items() if k != reply.id} | {reply.id: Done(expires_ms, reply)}
    return replace(state, done=dict(list(done.items())[-MOST_DONE:]))


def staged(state: State, trial: Trial) -> State:
    """Its files are on the card: the next start tries it."""
    waits = CommandReply(trial.id, "accepted", detail=f"on trial for {trial.within_s:g} s")
    return answered(replace(state, trial=trial), trial.expires_ms, waits)


def started(state: State, base: str) -> tuple[State, Run]:
    """By which configuration the agent starts, and the state to write before it does."""
    if state.good is not None and state.good.base != base:
        state = replace(state, good=None)
    if state.trial is not None and state.trial.base != base:
        state = rolled_back(state, "edge.yaml was edited on the device")
    elif state.trial is not None and state.trial.starts > 0:
        state = rolled_back(state, "the agent ended before it had contact")
    if state.trial is not None:
        return replace(state, trial=replace(state.trial, starts=state.trial.starts + 1)), "trial"
    return state, "good" if state.good is not None else "base"


def confirmed(state: State) -> State:
    """The bridge was heard under it: it is the last good one now."""
    if state.trial is None:
        return state
    x = state.trial
    good = replace(state, good=Standing(x.folder, x.base), trial=None)
    return answered(good, x.expires_ms, CommandReply(x.id, "done", detail="in force"))


def rolled_back(state: State, why: str) -> State:
    """The trial is over, the last good one stands."""
    if state.trial is None:
        return state
    x = state.trial
    reply = CommandReply(x.id, "refused", CommandCode.ROLLED_BACK.value, why)
    return answered(replace(state, trial=None), x.expires_ms, reply)

"""What a device does that it is told from afar: on a thread of its own, each command once, each answered. A command
that changes anything is noted on the card before it is done, so that one that comes again is only answered again."""

from __future__ import annotations

import json
import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateway import settings, wire
from gateway.clock import Clock
from gateway.edge import trial
from gateway.edge.commands import HARMLESS, judge, refused
from gateway.edge.orders import Orders
from gateway.edge.pushed import Pushed
from gateway.edge.trial import Done, Trial
from gateway.errors import CommandCode, Unavailable
from gateway.model import ClockState, Reading
from gateway.mqtt import Delivery
from gateway.wire import Command, CommandReply

log = logging.getLogger(__name__)

WAITING = 20  # commands that wait; further ones are dropped, and come again
TURN_S = 0.5
BEAT_S = 120.0
SAMPLE_S = 60.0  # within which what was ordered is read
WITHIN_S = (30.0, 3600.0)  # how long a trial may last
REPLY_BYTES = 16_000
KEPT = 8  # answers to commands that change nothing
# What a mistake in a command, or in reading a configuration, ends in: it is refused, and the device goes on.
BROKEN = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError, AssertionError)
PROBLEMS = 20  # of a configuration, in a reply


@dataclass(frozen=True, slots=True)
class _Sampling:
    """Sensors that are read for a command."""

    command: Command
    sensors: tuple[str, ...]
    until_ms: int  # uptime


@dataclass(frozen=True, slots=True)
class Hands:
    """What commands are done with: `publish` a reply, whether there is `contact` with the bridge since the start, the
    device's word on itself, and `restart`, which ends the agent so that it begins anew."""

    publish: Callable[[bytes], None]
    contact: Callable[[], bool]
    diagnose: Callable[[], dict[str, Any]]
    restart: Callable[[], None]


class Remote:
    """Of one agent. `hear` is called by the uplink, `run` is its own thread."""

    def __init__(self, edge: settings.Edge, pushed: Pushed, clock: Clock, orders: Orders, hands: Hands) -> None:
        self._edge, self._pushed, self._clock, self._orders, self._hands = edge, pushed, clock, orders, hands
        self._heard: queue.Queue[Delivery] = queue.Queue(WAITING)
        self._samplings: list[_Sampling] = []
        self._harmless: dict[str, Done] = {}  # answers that need no card
        self._begun_ms = clock.uptime_ms()
        self._owes = list(pushed.state.done)[-1:]  # its answer is said again once there is contact

    def hear(self, delivery: Delivery) -> None:
        """Waits for nothing."""
        try:
            self._heard.put_nowait(delivery)
        except queue.Full:
            log.warning("too many commands at once; one is dropped")

    def run(self, stop: threading.Event, beat: Callable[[float], None] = lambda _: None) -> None:
        while not stop.is_set():
            beat(BEAT_S)
            try:
                self.turn(self._heard.get(timeout=TURN_S))
            except queue.Empty:
                self.turn(None)

    def turn(self, delivery: Delivery | None) -> None:
        """One command, if there is one, and what time has made due."""
        self._on_trial()
        if self._owes and self._hands.contact():
            self._reply(self._pushed.state.done[self._owes.pop()].reply)
        self._sampled()
        if delivery is not None:
            self._take(delivery)

    # --- commands --------------------------------------------------------------------------------------------

    def _take(self, delivery: Delivery) -> None:
        try:
            command = wire.decode_command(delivery.payload)
        except ValueError as e:
            log.warning("a command cannot be read: %s", str(e)[:200])
            self._reply(refused("", CommandCode.MALFORMED, str(e)))
            return
        done = self._pushed.state.done.get(command.id) or self._harmless.get(command.id)
        now_ms = self._clock.now_ms()
        clock_set = self._clock.sync_state() is not ClockState.UNSYNCED
        answer = judge(command, delivery.retained, now_ms, clock_set, self._edge.remote.allow, done)
        if answer is None:
            log.info("command %s: %s", command.id, command.command)
            try:
                answer = self._do(command)
            except Unavailable as e:
                answer = refused(command.id, CommandCode.NOT_NOTED, str(e))
            except BROKEN as e:
                answer = refused(command.id, CommandCode.MALFORMED, str(e))
        if answer is not None:
            self._reply(answer)

    def _do(self, command: Command) -> CommandReply | None:
        """The answer, None where it comes later. Raises Unavailable where the card cannot be written."""
        match command.command:
            case "sample":
                return self._sample(command)
            case "interval":
                return self._interval(command)
            case "diagnostics":
                return self._noted(command, CommandReply(command.id, "done", data=self._hands.diagnose()))
            case "restart":
                answer = self._noted(command, CommandReply(command.id, "done", detail="restarting"))
                self._hands.publish(wire.encode(answer))
                self._hands.restart()
                return None
            case _:
                return self._configure(command)

    def _noted(self, command: Command, answer: CommandReply) -> CommandReply:
        """An answer that is remembered: on the card where something was changed. Raises Unavailable."""
        if command.command not in HARMLESS:
            self._pushed.write(trial.answered(self._pushed.state, command.expires_ms, answer))
        else:
            kept = list(self._harmless.items())[1 - KEPT :]
            self._harmless = dict(kept) | {command.id: Done(command.expires_ms, answer)}
        return answer

    def _named(self, command: Command) -> tuple[str, ...] | None:
        """The sensors that a command means; None where there is no such one."""
        wanted = str(command.args.get("sensor") or "")
        names = tuple(s.name for s in self._edge.sensors if wanted in ("", s.name))
        return names or None

    def _sample(self, command: Command) -> CommandReply | None:
        if any(x.command.id == command.id for x in self._samplings):
            return None  # it is under way
        names = self._named(command)
        if names is None:
            return refused(command.id, CommandCode.UNKNOWN_SENSOR, self._known())
        if self._samplings:
            return refused(command.id, CommandCode.BUSY)
        self._orders.sample(names)
        self._samplings.append(_Sampling(command, names, self._clock.uptime_ms() + round(SAMPLE_S * 1000)))
        return CommandReply(command.id, "accepted")

    def _sampled(self) -> None:
        for x in list(self._samplings):
            found = self._orders.found(x.sensors)
            if len(found) == len(x.sensors) or self._clock.uptime_ms() >= x.until_ms:
                self._samplings.remove(x)
                data = {name: [_said(r) for r in readings] for name, readings in found.items()}
                missing = [name for name in x.sensors if name not in found]
                detail = f"not read within {SAMPLE_S:g} s: {', '.join(missing)}" if missing else ""
                answer = CommandReply(x.command.id, "done", detail=detail[:500], data={"sensors": data})
                self._reply(self._noted(x.command, answer))

    def _interval(self, command: Command) -> CommandReply:
        names, limits = self._named(command), self._edge.remote
        if names is None:
            return refused(command.id, CommandCode.UNKNOWN_SENSOR, self._known())
        interval_s, for_s = float(command.args["interval_s"]), float(command.args["for_s"])
        own = [s.interval_s for s in self._edge.sensors if s.name in names]
        longest = limits.interval_max_s if limits.interval_max_s is not None else min(own)
        if not (limits.interval_min_s <= interval_s <= longest and 0 < for_s <= limits.longest_s):
            said = f"between {limits.interval_min_s:g} and {longest:g} s, for at most {limits.longest_s:g} s; "
            said += "'remote: {interval: {min: 1s, max: 1h}}' there sets it"
            return refused(command.id, CommandCode.OUT_OF_LIMITS, said)
        until_ms = self._clock.uptime_ms() + round(for_s * 1000)
        answer = self._noted(command, CommandReply(command.id, "done", data={"sensors": list(names)}))
        self._orders.read_every(names, interval_s, until_ms)
        return answer

    def _known(self) -> str:
        return f"the device has {', '.join(s.name for s in self._edge.sensors)}"

    # --- configurations --------------------------------------------------------------------------------------

    def _configure(self, command: Command) -> CommandReply | None:
        if self._pushed.state.trial is not None:
            return refused(command.id, CommandCode.BUSY, f"{self._pushed.state.trial.id} is on trial")
        files = {str(name): str(text) for name, text in dict(command.args["files"]).items()}
        within_s = float(command.args["within_s"])
        if not WITHIN_S[0] <= within_s <= WITHIN_S[1]:
            return refused(command.id, CommandCode.OUT_OF_LIMITS, f"a trial lasts {WITHIN_S[0]:g} to {WITHIN_S[1]:g} s")
        if problems := self._pushed.check(files, self._edge):
            answer = refused(command.id, CommandCode.BAD_CONFIGURATION, f"{len(problems)} problems")
            return self._noted(command, _with(answer, {"problems": [x[:300] for x in problems[:PROBLEMS]]}))
        about = Trial(f"push-{command.id}", self._pushed.base, command.id, command.expires_ms, within_s)
        self._pushed.stage(files, about)
        self._reply(self._pushed.state.done[command.id].reply)
        self._hands.restart()
        return None

    def _on_trial(self) -> None:
        """Contact makes it the last good one; its time without contact ends it."""
        found = self._pushed.state.trial
        if found is None or found.starts == 0:
            return
        if self._hands.contact():
            try:
                self._pushed.confirm()
            except Unavailable as e:
                log.error("%s; the trial goes on", e)
                return
            log.info("configuration %s is in force", found.id)
            self._owes = [found.id]
        elif self._clock.uptime_ms() - self._begun_ms >= found.within_s * 1000:
            log.error("no contact within %g s: the last good configuration is taken again", found.within_s)
            self._pushed.roll_back(f"no contact within {found.within_s:g} s")
            self._hands.restart()

    def _reply(self, reply: CommandReply) -> None:
        """Bounded: what is too long loses the oldest of what it lists."""
        said = wire.encode(reply)
        while len(said) > REPLY_BYTES and (
            key := max(reply.data, key=lambda k: len(json.dumps(reply.data[k])), default="")
        ):
            listed = reply.data[key]
            smaller = listed[len(listed) // 2 + 1 :] if isinstance(listed, list) else "left out: it is too long"
            reply = _with(reply, {**reply.data, key: smaller})
            said = wire.encode(reply)
        self._hands.publish(said)


def _with(reply: CommandReply, data: dict[str, Any]) -> CommandReply:
    return CommandReply(reply.id, reply.state, reply.code, reply.detail, data)


def _said(r: Reading) -> dict[str, Any]:
    about = {"station": r.station, "channel": r.channel, "unit": r.unit}
    return about | ({"fault": r.fault.value} if r.fault is not None else {"value": r.value})

"""The duty room in virtual time: what happens at the river goes in as messages, what people are owed comes out, and
what they do comes back through the store's requests. The code is the bridge's own, from decoding to the outbox; only
sockets and threads are absent.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway import config, storefile, wire
from gateway.bridge.notify import Outcome
from gateway.bridge.requests import Requests
from gateway.bridge.store import Store
from gateway.bridge.work import Memory, Rules, Work
from gateway.channelstate import ChannelState
from gateway.errors import FaultCode
from gateway.model import ClockState, Message, Reading, Sample
from gateway.stations import Station

MINUTE = 60_000
NEW = "SELECT id, key, medium, recipient, body, owed_ms FROM outbox WHERE id > ? AND state = 'owed' ORDER BY id"


Row = tuple[int, Mapping[str, float | FaultCode]]  # observed_ms, values by channel


@dataclass(frozen=True, slots=True)
class Handed:
    """A notification that its medium took."""

    at_ms: int
    key: str
    medium: str
    recipient: str
    body: Mapping[str, Any]

    @property
    def rings(self) -> bool:
        return bool(self.body.get("rings"))

    @property
    def once(self) -> tuple[str, str]:
        """By this a receiver tells a second delivery from a second alert."""
        return self.key, self.recipient

    @property
    def text(self) -> str:
        return f"{self.body['subject']['ja']}\n{self.body['text']['ja']}"


@dataclass(slots=True)
class _Device:
    """Numbers of one device's log."""

    log: str
    seq: itertools.count[int] = field(default_factory=lambda: itertools.count(1))


class Duty:
    """One bridge and its people. `start_ms` is when the bridge starts to listen; an earlier `now_ms` is not allowed."""

    def __init__(self, folder: Path, configuration: Path, start_ms: int) -> None:
        self._folder, self._configuration = folder, configuration
        self.now_ms = start_ms
        self.handed: list[Handed] = []
        self.hanging: set[str] = set()  # media that take nothing now
        self._devices: dict[tuple[str, str], _Device] = {}
        self._openings = itertools.count(1)
        self._seen = 0
        self._waiting: list[tuple[int, str, str, str, str, int]] = []
        self._outcomes: list[Outcome] = []
        self._since: int | None = start_ms
        self._open()

    def _open(self) -> None:
        self.bridge, self.registry = config.load_bridge(self._configuration)
        self.path = self._folder / "store.db"
        self._store = Store(self.path)
        self.memory: Memory = self._store.load()
        self._requests = Requests(self.path)
        self._read = storefile.connect(self.path)

    def restart(self, configuration: Path | None = None) -> None:
        """The bridge is killed and begins again, with another configuration where one is given. What was handed over
        and not yet recorded will be handed over again, under the same key."""
        self.close()
        self._configuration = configuration or self._configuration
        self._since = self.now_ms
        self._outcomes.clear()
        self._open()
        self._waiting = list(storefile.rows(self.path, NEW, (0,)))

    def close(self) -> None:
        self._read.close()
        self._store.close()

    # --- the river -------------------------------------------------------------------------------------------

    def pack(self, station: str, rows: Iterable[Row], kind: str = "data") -> Message:
        """Samples of a station's device, as they come from the broker now: values in their canonical units."""
        place = self.place(station)
        key = (place.tenant, place.device)
        device = self._devices.setdefault(key, _Device(f"{next(self._openings):012x}"))
        samples = []
        for at_ms, values in rows:
            readings = tuple(
                Reading(station, name, place.channels[name].unit, fault=value)
                if isinstance(value, FaultCode)
                else Reading(station, name, place.channels[name].unit, value=value)
                for name, value in values.items()
            )
            samples.append(Sample(device.log, next(device.seq), at_ms, ClockState.SYNCED, readings))
        return Message(wire.topic(*key, kind), wire.encode_pack(samples), self.now_ms)

    # --- the bridge ------------------------------------------------------------------------------------------

    def rules(self) -> Rules:
        future_ms = self.now_ms + round(self.bridge.future_tolerance_s * 1000)
        return Rules(self.registry, self.bridge, self.now_ms, future_ms, self._since, self.now_ms, self.now_ms)

    def step(self, now_ms: int, messages: Iterable[Message] = (), killed: bool = False) -> None:
        """One batch at that time: messages, the passing of time, commit; then the media. Killed: after the media took
        what was owed, and before that is recorded. Requests are served when they are asked."""
        self.now_ms = now_ms
        work = Work(self.memory, self.rules())
        for message in messages:
            work.take(message)
        work.tick()
        self._write(work)
        self._deliver()
        if not killed:
            self._write(Work(self.memory, self.rules()))  # what became of the notifications

    def _write(self, work: Work) -> None:
        work.report(self._outcomes)
        if work.empty():
            work.alerts.causes.swap_in()
            return
        self._store.commit(work)
        self._outcomes.clear()
        work.swap_in()

    def _deliver(self) -> None:
        rows = self._read.execute(NEW, (self._seen,)).fetchall()
        self._seen = max([self._seen, *(row[0] for row in rows)])
        waiting, self._waiting = [*self._waiting, *rows], []
        for row in waiting:
            if row[2] in self.hanging or row[3] in self.hanging:
                self._waiting.append(row)
                continue
            outbox_id, key, medium, recipient, body, _ = row
            self.handed.append(Handed(self.now_ms, key, medium, recipient, json.loads(body)))
            self._outcomes.append(Outcome(outbox_id, "sent", 1, key=key))

    # --- people ----------------------------------------------------------------------------------------------

    def ask(self, kind: str, by: str, **body: object) -> dict[str, Any]:
        """What a person asks of the bridge; its answer. Applied at once, as by a bridge that looks four times a
        second."""
        asked = {k: v for k, v in body.items() if v is not None}
        number = storefile.ask(self.path, kind, json.dumps(asked), by, self.now_ms)
        self._requests.serve(self.memory, self.rules, self._write)
        self._deliver()
        state, answer = storefile.answer(self.path, number)
        return {"state": state, **json.loads(answer or "{}")}

    # --- what is known ---------------------------------------------------------------------------------------

    def place(self, station: str) -> Station:
        return next(s for s in self.registry.stations.values() if s.id == station)

    def state(self, station: str, channel: str = "water_level") -> ChannelState:
        return self.memory.states.get((self.place(station).tenant, station, channel), ChannelState())

    def episode(self, station: str) -> str | None:
        """The open episode of a station."""
        found = [e.id for e in self.memory.episodes.values() if e.station == station and e.kind == "station"]
        return found[0] if found else None

"""Tells a story to the duty room, minute by minute, and keeps what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import FaultCode
from gateway.model import Message
from gateway.stations import Channel, Station
from tests.nights.duty import MINUTE, Duty, Handed, Row
from tests.nights.story import Act, Story, clock

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Told:
    """A notification, with the minute of the story at which its medium took it."""

    minute: int
    handed: Handed

    def __str__(self) -> str:
        h = self.handed
        return f"{clock(self.minute)} {'ring' if h.rings else 'told'} {h.recipient} {h.body['subject']['ja']}"


def _every(channel: Channel, level: float | None) -> int:
    """Minutes from one message to the next: by the mode that the level puts the contract in."""
    return max(1, round(channel.contract.due_s(level) / 60))


class Telling:
    def __init__(self, story: Story, folder: Path) -> None:
        self.story = story
        self.duty = Duty(folder, FOLDER / story.folder, story.begins_ms + story.begin * MINUTE)
        self.wrong: list[str] = []  # states that were not as wanted, requests that were refused
        self._kept: dict[str, list[Row]] = {}  # what a link holds back, by station
        self._queued: list[Message] = []  # at the broker, while the bridge is away
        self._offset = self._offsets()  # gauges are not read at one moment

    def _offsets(self) -> dict[str, int]:
        return {s.id: i % 10 for i, s in enumerate(self._stations())}

    def _stations(self) -> Iterator[Station]:
        yield from self.duty.registry.stations.values()

    @property
    def told(self) -> list[Told]:
        begins = self.story.begins_ms
        firsts = {h.once: h for h in reversed(self.duty.handed) if h.medium != "mqtt"}
        people = sorted(firsts.values(), key=lambda h: h.at_ms)
        return [Told((h.at_ms - begins) // MINUTE, h) for h in people]

    @property
    def second_deliveries(self) -> list[int]:
        """The minutes of what a medium was handed again."""
        seen, again = set(), list[int]()
        for h in self.duty.handed:
            if h.once in seen:
                again.append((h.at_ms - self.story.begins_ms) // MINUTE)
            seen.add(h.once)
        return again

    def run(self) -> None:
        for minute in range(self.story.begin, self.story.end + 1):
            self._minute(minute)
        self.duty.close()

    def _minute(self, minute: int) -> None:
        story, duty = self.story, self.duty
        now = story.begins_ms + minute * MINUTE
        duty.now_ms = now
        duty.hanging = {m for m, a, b in story.hangs if a <= minute < b}
        messages = self._measured(minute, now)
        if any(a <= minute < b for a, b in story.away):
            self._queued += messages
            return
        if any(b == minute for _, b in story.away):
            duty.restart()
        if minute in story.revised:
            duty.restart(FOLDER / story.revised[minute])
            self._offset = self._offsets()
        queued, self._queued = self._queued, []
        duty.step(now, [*queued, *messages], minute in story.kills)
        if minute in story.kills:
            duty.restart()
        for act in [a for a in story.acts if a.minute == minute]:
            self._do(act)
        self._answer(now)
        for want in [s for s in story.states if s.minute == minute]:
            state = duty.state(want.station, want.channel)
            got = (state.rank, state.condition.value, state.held, state.unconfirmed)
            if got != (want.rank, want.condition, want.held, want.unconfirmed):
                self.wrong.append(f"{clock(minute)} {want.station}: {got}")

    def _answer(self, now: int) -> None:
        """Those who answer have seen what rang a minute ago."""
        for h in self.duty.handed:
            due = h.at_ms == now - MINUTE and h.rings and h.recipient in self.story.answers
            if due and max(h.body["rank"], h.body["from_rank"]) >= 3:
                self.duty.ask("alert.acknowledge", h.recipient, episode=h.body["episode"])

    def _do(self, act: Act) -> None:
        aimed = {"station": act.station} if not act.kind.startswith("alert.") else {}
        if act.kind == "alert.mute":
            aimed = {"station": act.station}
        elif act.kind.startswith("alert."):
            aimed = {"episode": self.duty.episode(act.station) or act.station}
        answer = self.duty.ask(act.kind, act.by, **aimed, **act.more)
        if answer["state"] != "done":
            self.wrong.append(f"{clock(act.minute)} {act.kind} {act.station}: {answer}")

    # --- what is measured ------------------------------------------------------------------------------------

    def _measured(self, minute: int, now: int) -> list[Message]:
        messages = []
        for station in self._stations():
            row = self._row(station, minute, now)
            held = self._held_back(station, minute)
            if row and held:
                self._kept.setdefault(station.id, []).append(row)
            elif row:
                messages.append(self.duty.pack(station.id, [row]))
            if not held and (kept := self._kept.pop(station.id, None)):
                messages.append(self.duty.pack(station.id, kept, "backlog"))
        return messages

    def _held_back(self, station: Station, minute: int) -> bool:
        names = {station.id, f"area:{station.area}"}
        return any(name in names and a <= minute < b for name, a, b in self.story.withheld)

    def _row(self, station: Station, minute: int, now: int) -> Row | None:
        """What a station measures at this minute; a few seconds after it, so that no two stations agree."""
        if any(name == station.id and a <= minute < b for name, a, b in self.story.silent):
            return None
        values = {}
        for name, channel in station.channels.items():
            value = self._value(station.id, name, minute)
            level = None if isinstance(value, FaultCode) else value
            if value is not None and (minute + self._offset[station.id]) % _every(channel, level) == 0:
                values[name] = value
        return (now - 1000 * self._offset[station.id], values) if values else None

    def _value(self, station: str, channel: str, minute: int) -> float | FaultCode | None:
        """By the course that holds; between two, what the one before ended with; before the first, calm."""
        begun = [c for c in self.story.courses.get((station, channel), []) if c.start <= minute]
        if begun:
            course = max(begun, key=lambda c: c.start)
            return course.at(min(minute, course.end))
        if channel == "water_level" and self.story.calm and self.story.calm[1] <= minute <= self.story.calm[2]:
            return round(self.story.calm[0] + 0.01 * (minute // 10 % 3), 2)
        return None

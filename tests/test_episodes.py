"""Episodes: one for each station and event, whatever happens to the bridge and however often it is told."""

from __future__ import annotations

import itertools
import random
import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from gateway import storefile, wire
from gateway.bridge.store import Store
from gateway.bridge.work import Rules, Work
from gateway.episodes import Course, Episode
from gateway.errors import FaultCode
from gateway.model import ClockState, Message, Reading, Sample
from gateway.settings import Bridge
from gateway.stations import Contract, Limits, Registry, Station
from tests import world

MINUTE = 60_000
LIMITS = Limits(sensor=(-1.0, 6.0), rise_per_h=2.0, fall_per_h=2.0)
LEVELS = {"standby": 1.0, "caution": 2.0, "evacuation": 3.0, "danger": 4.0, "overflow": 5.0}
STATIONS = ("kasuga-bridge", "togawa-bridge")


def registry(levels: dict[str, float]) -> Registry:
    def place(name: str, device: str) -> Station:
        channel = replace(world.channel(thresholds=levels), contract=Contract(600.0, 300.0), limits=LIMITS)
        return world.station(name, device, (channel,))

    return world.registry(*(place(name, f"gw-{i}") for i, name in enumerate(STATIONS)))


@dataclass(frozen=True)
class Read:
    """What a station measured at a minute; None is a fault. It arrives `late` minutes after that."""

    station: int
    minute: int
    value: float | None
    late: int
    back: bool  # the device's clock was put back by an hour


def flood(seed: int) -> list[Read]:
    """Two rivers over a night: calm, up and down again, with faults, spikes, dead times, and backlog in pieces."""
    rng, reads = random.Random(seed), []
    for station in (0, 1):
        level, goal, back = 0.5, rng.uniform(2, 5.5), rng.random() < 0.15
        dead = range(d := rng.randrange(20, 60), d + rng.randrange(0, 25))
        withheld = range(w := rng.randrange(10, 50), w + rng.randrange(0, 20))
        for i in range(72):
            level += rng.uniform(-0.02, 0.32) if i < 30 and level < goal else rng.uniform(-0.2, 0.03)
            value: float | None = round(max(0.3, level) + (rng.random() < 0.05) * rng.uniform(-2, 3), 2)
            if i in dead:
                if rng.random() < 0.5:
                    continue
                value = None
            late = (withheld.stop - i) * 10 + rng.randrange(3) if i in withheld else 0
            reads.append(Read(station, 10 * i + station, value, late, back and i > 50))
    return reads


def messages(reads: list[Read]) -> dict[int, list[Message]]:
    """By the minute at which they arrive; numbered as they were measured."""
    seqs, out = [itertools.count(1), itertools.count(1)], dict[int, list[Message]]()
    for r in reads:
        observed_ms = world.T0 + (r.minute - 60 * r.back) * MINUTE
        reading = Reading(STATIONS[r.station], "water_level", "m", r.value, None if r.value is not None else FAULT)
        sample = Sample("7d1f9c2ab4e0", next(seqs[r.station]), observed_ms, ClockState.SYNCED, (reading,))
        arrives = r.minute + r.late
        topic = wire.topic(world.TENANT, f"gw-{r.station}", "backlog" if r.late else "data")
        out.setdefault(arrives, []).append(Message(topic, wire.encode_pack([sample]), world.T0 + arrives * MINUTE))
    return out


FAULT = FaultCode.NO_ECHO
EVENING, REVISED = registry(LEVELS), registry(LEVELS | {"danger": 3.6})


class House:
    """A bridge on a real store, whose night can be troubled."""

    def __init__(self, folder: Path, trouble: random.Random | None) -> None:
        self.path, self.trouble = folder / "store.db", trouble
        self.settings: Bridge = world.bridge(self.path, alert_topic=False)
        self.store = Store(self.path)
        self.memory = self.store.load()
        self.past: list[Message] = []

    def chance(self, of: float) -> bool:
        return self.trouble is not None and self.trouble.random() < of

    def rules(self, minute: int) -> Rules:
        now = world.T0 + minute * MINUTE
        found = EVENING if minute < 360 else REVISED
        return Rules(found, self.settings, now, now + 120_000, world.T0, now, now)

    def minute(self, minute: int, arrived: list[Message]) -> None:
        """The messages of a minute: cut anywhere, some of them old ones; a batch may fail and be taken again."""
        self.past += arrived
        if self.trouble is not None and self.past:
            again = self.trouble.sample(self.past, min(len(self.past), self.trouble.randrange(4)))
            arrived = [x for m in arrived for x in ([m, m] if self.chance(0.2) else [m])] + again
        parts = [[m] for m in arrived] if self.chance(0.5) else [arrived]
        for i, part in enumerate(parts or [[]]):
            last = i >= len(parts) - 1
            if self.chance(0.15):
                self.batch(minute, part, last)  # and the disk refuses it
            self.store.commit(work := self.batch(minute, part, last))
            work.swap_in()
            if self.chance(0.1):
                self.store.close()
                self.store = Store(self.path)
                self.memory = self.store.load()

    def batch(self, minute: int, messages: list[Message], last: bool) -> Work:
        work = Work(self.memory, self.rules(minute))
        for m in messages:
            work.take(m)
        if last:
            work.tick()
        return work


def night(seed: int, trouble: random.Random | None) -> tuple[list[str], list[tuple[str, int]], list[str]]:
    """(keys of transitions, episodes with the rank they came to, peaks) that are in the store in the end."""
    arriving = messages(flood(seed))
    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder), trouble)
        for minute in range(0, max(arriving) + 40):
            if minute in arriving or minute % 5 == 0:
                house.minute(minute, arriving.get(minute, []))
                rows = storefile.rows(house.path, "SELECT station FROM episodes WHERE closed_ms IS NULL", ())
                assert max(Counter(rows).values(), default=0) <= 1, "two open episodes of a station"
        house.store.close()
        keys = [k for (k,) in storefile.rows(house.path, "SELECT key FROM transitions ORDER BY key", ())]
        episodes = storefile.rows(house.path, "SELECT id, max_rank FROM episodes ORDER BY id", ())
        states = storefile.rows(house.path, "SELECT state FROM episodes ORDER BY id", ())
    courses = [msgspec.json.decode(text, type=Course) for (text,) in states]
    return keys, episodes, [f"{c.peak} at {c.peak_ms}" for c in courses]


@settings(max_examples=4, deadline=None, phases=[Phase.explicit, Phase.generate])  # a night is slow to shrink
@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_a_troubled_night_tells_the_same(seed: int, trouble: int) -> None:
    """Restarts, failed commits, batches cut anywhere, second deliveries and replays: the same transitions, each once,
    the same episodes with the same peaks, and never two open ones of a station."""
    assert night(seed, random.Random(trouble)) == night(seed, None)


def test_the_nights_tell_something() -> None:
    """The floods of the law above rise, fall, are lost, and are told of afterwards; thresholds are revised in them."""
    found = Counter(key.split("/")[3].split("-")[0] for seed in range(3) for key in night(seed, None)[0])
    assert {"rise", "fall", "held", "restored", "thresholds", "past"} <= set(found), found


# --- the parts ---------------------------------------------------------------------------------------------------


def test_the_peak_is_that_of_the_episode() -> None:
    """The highest good value since it began, whenever it comes to be known; equal and lower ones change nothing."""
    e = Episode("t", "s", "s.1", opened_ms=1000, max_rank=4)
    assert e.with_peak(9.0, 999) is e
    e = e.with_peak(4.2, 1000).with_peak(4.9, 5000)
    assert e.with_peak(4.9, 6000) is e
    assert e.with_peak(4.5, 7000) is e
    later = e.with_peak(5.1, 3000)
    assert (later.course.peak, later.course.peak_ms) == (5.1, 3000)


def test_backlog_shows_the_peak_of_an_open_episode() -> None:
    """The gauge is cut off at the crest; when the line is back its backlog shows the true peak, without a word."""
    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder), None)
        reads = [Read(0, 10 * i, round(0.5 + i * 0.3, 2), 0, False) for i in range(14)]  # up to 4.4
        reads += [Read(0, 140 + 10 * i, 4.6 + 0.1 * min(i, 6 - i), 200, False) for i in range(7)]  # crest 4.9
        reads += [Read(0, 210 + 10 * i, round(4.4 - 0.1 * i, 2), 0, False) for i in range(20)]
        arriving = messages(reads)
        for minute in range(440):
            house.minute(minute, arriving.get(minute, []))
        (open_,) = [e for e in house.memory.episodes.values() if e.station == STATIONS[0]]
        assert (open_.max_rank, open_.course.peak) == (4, 4.9)
        assert open_.course.peak_ms == world.T0 + 170 * MINUTE
        house.store.close()

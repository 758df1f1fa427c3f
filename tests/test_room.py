"""The store's room: what leaves it, when and in which order; what never does; and what a full disk does."""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway import journalfile, settings, storefile
from gateway.bridge import prune, room
from gateway.bridge.influx import CURSOR
from gateway.bridge.prune import DAY_MS, HOUR_MS, Night, Row, given_up
from gateway.bridge.receiver import Arrival
from gateway.bridge.room import Level, Room, level_of
from gateway.bridge.service import Service
from gateway.bridge.store import Store
from gateway.bridge.work import Work
from gateway.clock import SystemClock
from gateway.episodes import Episode
from gateway.journal import Entry, Kind
from gateway.mqtt import Delivery
from gateway.ranges import RangeSet
from gateway.stations import HEALTH_CHANNELS
from tests import servers, world
from tests.world import DEVICE, LOG, STATION, T0, TENANT, observation

SERIES = (TENANT, STATION, "water_level")
INFLUX = settings.Influx("v1", "http://127.0.0.1:1", "floods")
KEPT = {"episodes", "transitions", "outbox", "requests", "notices", "dead_letters", "channel_states", "ranges", "logs"}
KEPT |= {"journal", "cap"}

# --- how full ------------------------------------------------------------------------------------------------------

NAMES = {x.name.lower(): x for x in Level}


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ([0.1, 0.69, 0.70, 0.79], "ample ample tight tight"),
        ([0.80, 0.94, 0.95, 1.2], "nearly_full nearly_full full full"),
        ([0.96, 0.91, 0.90, 0.89], "full full full nearly_full"),
        ([0.81, 0.76, 0.74, 0.66, 0.64], "nearly_full nearly_full tight tight ample"),
        ([0.99, 0.1, 0.94], "full ample nearly_full"),
    ],
)
def test_a_level_is_left_below_where_it_was_entered(shares: list[float], expected: str) -> None:
    """80 and 95 per cent enter, 75 and 90 leave: what hovers at a limit is told once."""
    level, seen = Level.AMPLE, []
    for share in shares:
        level = level_of(share, level)
        seen.append(level.name.lower())
    assert " ".join(seen) == expected


# --- what thinning takes -------------------------------------------------------------------------------------------

HERE = (TENANT, STATION)


def rows_of(count: int, channels: int = 1) -> list[Row]:
    """One a minute on each channel, the newest first seen two hours before NOW."""
    return [
        Row(i + 1, i % channels, T0 + i // channels * 60_000, T0 + i // channels * 60_000, HERE)
        for i in range(count * channels)
    ]


NOW = T0 + 10 * DAY_MS


def test_the_first_pass_leaves_one_in_eight_of_each_channel() -> None:
    """The curve of every channel stays, eight times as coarse, whatever the channels' order in the store."""
    rows = rows_of(80, channels=3)
    taken = {r.id for r in given_up(rows, [], 1, NOW)}
    left = [r for r in rows if r.id not in taken]
    assert [sum(r.channel_id == c for r in left) for c in range(3)] == [10, 10, 10]
    assert [r.observed_ms for r in left if r.channel_id == 1] == [T0 + 480_000 * i for i in range(10)]


@pytest.mark.parametrize(
    ("pass_", "plain", "night", "young"), [(1, 35, 0, 0), (2, 40, 0, 0), (3, 40, 40, 0), (4, 40, 40, 40)]
)
def test_nights_and_the_newest_hour_go_last(pass_: int, plain: int, night: int, young: int) -> None:
    """An episode with the hour around it is given up after everything else, the newest hour after that; another
    station's episode protects nothing here."""
    plain_rows = rows_of(40)
    night_rows = [replace(r, id=r.id + 100, observed_ms=r.observed_ms + DAY_MS) for r in plain_rows]
    young_rows = [replace(r, id=r.id + 200, observed_ms=NOW - 1, received_ms=NOW - HOUR_MS + 1) for r in plain_rows]
    nights = [Night(HERE, T0 + DAY_MS, T0 + DAY_MS + HOUR_MS), Night((TENANT, "elsewhere"), 0, NOW)]
    taken = [r.id // 100 for r in given_up([*plain_rows, *night_rows, *young_rows], nights, pass_, NOW)]
    assert [taken.count(i) for i in range(3)] == [plain, night, young]


# --- the steps, on a store -----------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Store]:
    store = Store(path)
    try:
        yield store
    finally:
        store.close()


def fill(
    store: Store, count: int, first: int = 1, at_ms: int = T0, then: Callable[[Work], object] | None = None
) -> None:
    """Rows of one channel, one a minute from `at_ms`, received at once."""
    work = world.work(store.load(), world.bridge(store.path), now_ms=at_ms)
    for n in range(first, first + count):
        at = at_ms + (n - first) * 60_000
        work.observations.append(observation(n, observed_ms=at, received_ms=at))
        work.newest[SERIES] = at
        work.ledger((TENANT, DEVICE)).log(LOG).settle(n, "stored")
    if then:
        then(work)
    store.commit(work)


def accept(store: Store, position: int, at_ms: int) -> None:
    """InfluxDB has taken everything up to here."""
    work = world.work(store.load(), world.bridge(store.path), now_ms=at_ms)
    work.cursors[CURSOR] = position
    store.commit(work)


def sql(path: Path, query: str) -> list[tuple[Any, ...]]:
    return storefile.rows(path, query)


def ids(path: Path) -> list[int]:
    return [i for (i,) in sql(path, "SELECT id FROM observations ORDER BY id")]


def test_rows_go_no_sooner_than_a_day_after_influxdb_had_them(path: Path) -> None:
    """The time of acceptance counts, not the row's age: a row taken late stays its day."""
    with opened(path) as store:
        fill(store, 100)
        accept(store, 40, NOW)
        accept(store, 60, NOW + HOUR_MS)
        accept(store, 100, NOW + DAY_MS - 1)
        for late_ms, upto in [(DAY_MS - 1, 0), (DAY_MS, 40), (DAY_MS + HOUR_MS, 60), (2 * DAY_MS, 100)]:
            assert prune.accepted_a_day_ago(store.db, NOW + late_ms) == upto
        assert prune.oldest(store.db, 60, None, 1000) == 60
    assert ids(path) == list(range(61, 101))


def test_a_cursor_that_went_back_takes_its_acceptance_back(path: Path) -> None:
    """After a refill nothing counts as accepted that is to be sent again."""
    with opened(path) as store:
        fill(store, 100)
        accept(store, 100, NOW)
        accept(store, 30, NOW + 60_000)
        assert prune.accepted_a_day_ago(store.db, NOW + 3 * DAY_MS) == 30
        accept(store, 100, NOW + HOUR_MS)
        assert prune.accepted_a_day_ago(store.db, NOW + HOUR_MS + DAY_MS) == 100


def test_notes_of_acceptance_stay_few(path: Path) -> None:
    """A cursor that moves every second for two days leaves about one note for ten minutes of the last one."""
    with opened(path) as store:
        store.load()
        for n in range(2 * 86_400 // 30):
            prune.mark(store.db, n + 1, NOW + n * 30_000)
        ((count,),) = sql(path, "SELECT count(*) FROM cursor_marks")
    assert 140 <= count <= 150


def test_the_newest_row_and_what_a_channel_last_measured_stay(path: Path) -> None:
    """Pruning all leaves one row; the next start knows the newest time of every channel and of the last commit, and
    the ledger knows every number."""
    with opened(path) as store:
        fill(store, 10)
        other = observation(11, 12.5, channel="battery_voltage", observed_ms=T0 + DAY_MS, received_ms=T0 + DAY_MS)
        fill(store, 0, then=lambda w: w.observations.append(other))
        before = store.load()
        assert prune.oldest(store.db, 2**62, None, 1000) == 10
        assert prune.oldest(store.db, 2**62, None, 1000) == 0
        after = store.load()
        assert after.newest == before.newest
        assert after.newest[SERIES] == T0 + 9 * 60_000
        assert after.last_commit_ms == before.last_commit_ms == T0 + DAY_MS
        assert after.ledgers[(TENANT, DEVICE)].arrived(LOG, 1)
        assert list(after.ledgers[(TENANT, DEVICE)].logs[LOG].settled) == list(RangeSet([(1, 10)]))


def test_what_is_thinned_is_declared_and_the_passes_follow_each_other(path: Path) -> None:
    """Each step says how many rows of which channel and time went; one line a channel and day; passes take more and
    more until nothing is left but the newest row."""
    with opened(path) as store:
        night = Episode(TENANT, STATION, "a night", T0 + 200 * 60_000, 3, T0 + 210 * 60_000)
        fill(store, 801, then=lambda w: w.episodes.update({HERE: night}))
        steps = []
        while (gone := prune.thin(store.db, 0, NOW, 100)) is not None:
            steps.append((gone, len(ids(path))))
            assert len(steps) < 40
        left = [count for _, count in steps]
        in_night = 131  # minutes from 140 to 270
        assert left[8] == pytest.approx(in_night + (800 - in_night) / 8 + 1, abs=8)  # a step of 100 is no multiple of 8
        assert in_night + 1 in left
        assert ids(path) == [801]
        assert sum(gone for gone, _ in steps) == 800
    assert sql(path, "SELECT from_ms, to_ms, rows FROM thinned") == [(T0, T0 + 799 * 60_000, 800)]


def test_what_was_spared_is_safe_once_there_is_room(path: Path) -> None:
    """Thinning that stopped begins anew with what is younger: the coarse curve of the past is not touched first."""
    with opened(path) as store:
        fill(store, 100)
        assert prune.thin(store.db, 0, NOW, 1000) == 86  # the first pass whole
        prune.first_pass(store.db, NOW)
        spared = ids(path)
        fill(store, 100, first=101, at_ms=T0 + DAY_MS)
        assert prune.thin(store.db, 0, NOW, 1000) == 86
        assert ids(path)[: len(spared) - 1] == spared[:-1]


@pytest.mark.parametrize(
    ("what", "received", "cursor", "since", "expected"),
    [
        ("all in order", [1, 2, 3, 4, 5], 5, 3, (2, 3)),
        ("everything", [1, 2, 3, 4, 5], 5, 0, (0, 5)),
        ("nothing arrived since", [1, 2, 3, 4, 5], 5, 6, (5, 0)),
        ("InfluxDB is behind: it never goes forward", [1, 2, 3, 4, 5], 2, 4, (2, 0)),
        ("InfluxDB is behind in the middle", [1, 2, 3, 4, 5], 4, 3, (2, 2)),
        ("the clock stepped back in between", [5, 6, 7, 1, 2, 8, 9], 7, 6, (1, 6)),
        ("an empty store", [], 0, 1, (0, 0)),
    ],
)
def test_refill(path: Path, what: str, received: list[int], cursor: int, since: int, expected: tuple[int, int]) -> None:
    """The cursor goes back to before the first row received since, never forward, and the rows are told."""
    with opened(path) as store:
        rows = [observation(n, received_ms=T0 + at) for n, at in enumerate(received, 1)]
        fill(store, 0, then=lambda w: w.observations.extend(rows))
        accept(store, cursor, T0)
    assert storefile.refill(path, CURSOR, T0 + since) == expected, what


# --- the ceiling ---------------------------------------------------------------------------------------------------


def test_a_row_takes_what_the_statement_of_days_assumes(path: Path) -> None:
    """Days are reckoned with the bytes that a row really takes, within a fifth."""
    rows = [observation(n, 1 + n / 1000, channel=c, record=r) for n in range(1, 20_001)
            for r, c in enumerate(("water_level", "battery_voltage"))]  # fmt: skip
    world.add(path, rows)
    with opened(path) as store:
        store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        used = room.usage(store.db, path, 10**12).used
    assert used / len(rows) == pytest.approx(room.ROW_BYTES, rel=0.2)


def test_the_ceiling_is_said_in_days(path: Path) -> None:
    """The first lines of the log say for how many days there is room, and what happens where 'keep' wants more."""
    registry = world.registry()
    day = room.rows_a_day(registry)
    assert day == 2 * 1440 + len(HEALTH_CHANNELS) * 24
    big = world.bridge(path, store_max_bytes=10**10, store_keep_s=365 * 86_400.0)
    assert f"10 GB: room for about {0.8 * 10**10 / room.ROW_BYTES / day:,.0f} days" in room.statement(big, registry)
    assert room.statement(big, registry).endswith("they are kept for 365 d")
    small = replace(big, store_max_bytes=100_000_000)
    assert "less than the 365 days of 'keep': then backlog waits on the devices" in room.statement(small, registry)
    assert "those that InfluxDB has go before" in room.statement(replace(small, influx=INFLUX), registry)


CEILING = 2_000_000


def crowded(path: Path, influx: bool = True, **changes: Any) -> tuple[Store, Room]:
    store = Store(path)
    bridge = world.bridge(path, store_max_bytes=CEILING, influx=INFLUX if influx else None, **changes)
    return store, Room(store.db, bridge)


def settle_room(found: Room, now_ms: int, limit: int = 500) -> int:
    """Steps until nothing more is due."""
    for n in range(limit):
        if not found.step(now_ms, True):
            return n
    raise AssertionError("it goes on for ever")


def fill_to(store: Store, share: float) -> int:
    """Rows until so much of the ceiling is used; how many."""
    count = 0
    while room.usage(store.db, store.path, CEILING).share < share:
        fill(store, 500, first=count + 1, at_ms=T0 - 10 * DAY_MS + count * 60_000)
        count += 500
        checkpoint(store)
    return count


def checkpoint(store: Store) -> None:
    store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def test_a_live_flood_stays_below_the_ceiling(path: Path) -> None:
    """Twice what the store can hold arrives while InfluxDB takes nothing: at no time is the ceiling passed, the
    newest readings are there, the loss is declared to the row, and what is not a reading is untouched."""
    store, found = crowded(path)
    total, seen, batch = 0, 0.0, 400
    with contextlib.closing(store):

        def written(work: Work) -> None:
            work.letters.append(world_letter())
            work.entries.append(Entry(T0, Kind.MANUAL, TENANT, STATION, by="田中", body={"text": "消防団へ電話"}))

        fill(store, 1, then=written)
        kept = {t: sql(path, f"SELECT * FROM {t}") for t in KEPT - {"ranges", "logs"}}
        for n in range(75):
            fill(store, batch, first=2 + n * batch, at_ms=T0 + DAY_MS + n * batch * 60_000)
            found.committed(batch)
            total += batch
            found.step(T0 + DAY_MS + (n + 1) * batch * 60_000, True)
            seen = max(seen, found.usage.share)
        left, lost = len(ids(path)), sql(path, "SELECT coalesce(sum(rows), 0) FROM thinned")[0][0]
        assert 0.95 < seen < 1.0
        assert left + lost == total + 1
        assert found.thinned == lost > 0
        assert sql(path, "SELECT max(seq) FROM observations") == [(total + 1,)]
        assert {t: sql(path, f"SELECT * FROM {t}") for t in kept} == kept
        assert [x.by for x in journalfile.rows(path)] == ["田中"]
        assert journalfile.verify(path) == journalfile.last(path)[::-1]
        assert list(store.load().ledgers[(TENANT, DEVICE)].logs[LOG].settled) == [(1, total + 1)]


def world_letter() -> Any:
    from tests.test_store import letter

    return letter(9000)


def test_rows_that_influxdb_has_go_before_any_is_thinned(path: Path) -> None:
    """Above 95 per cent what InfluxDB has goes at once, however young; nothing is given up while there is such a row,
    and it ends below 90."""
    store, found = crowded(path)
    with contextlib.closing(store):
        rows = fill_to(store, 0.96)
        accept(store, rows // 2, T0)
        checkpoint(store)
        settle_room(found, T0 + 60_000)
        assert found.thinned == 0
        assert 0 < found.pruned <= rows // 2
        assert sql(path, "SELECT count(*) FROM thinned") == [(0,)]
        found.step(T0 + 60_000, True)
        assert found.level < Level.FULL
        assert found.usage.share < 0.90


def test_from_seventy_per_cent_on_what_is_safe_goes_before_its_time(path: Path) -> None:
    """With InfluxDB at work the store does not fill until backlog must wait: rows it has had for a day make room,
    though 'keep' wants them longer; rows it has had for an hour do not."""
    store, found = crowded(path)
    with contextlib.closing(store):
        rows = fill_to(store, 0.72)
        accept(store, rows // 2, T0)
        accept(store, rows, T0 + DAY_MS - HOUR_MS)
        checkpoint(store)
        settle_room(found, T0 + DAY_MS)
        assert found.level == Level.AMPLE
        assert 0 < found.pruned <= rows // 2
        assert not found.backlog_waits


@pytest.mark.parametrize("influx", [True, False])
def test_by_days_where_there_is_room(path: Path, influx: bool) -> None:
    """Rows older than 'keep' go; with InfluxDB only those that it has had for a day; and none while the bridge's own
    clock is not believed."""
    store, found = crowded(path, influx, store_keep_s=2 * 86_400.0)
    with contextlib.closing(store):
        fill(store, 3000)  # two days and two hours
        accept(store, 60, T0 + DAY_MS)
        now = T0 + 2 * DAY_MS + 2 * HOUR_MS
        assert not found.step(now, clock_trusted=False)
        settle_room(found, now)
        assert ids(path)[0] == (61 if influx else 121)


def test_backlog_waits_from_eighty_to_seventy_five_per_cent(path: Path) -> None:
    """And what staff are told follows it."""
    store, found = crowded(path)
    with contextlib.closing(store):
        seen = []
        for share in (0.5, 0.81, 0.78, 0.96, 0.92, 0.85, 0.7):
            found.level = level_of(share, found.level)
            seen.append((found.backlog_waits, [c.value for c, on in found.conditions().items() if on]))
    assert seen == [
        (False, []),
        (True, ["store_nearly_full"]),
        (True, ["store_nearly_full"]),
        (True, ["store_nearly_full", "store_full"]),
        (True, ["store_nearly_full", "store_full"]),
        (True, ["store_nearly_full"]),
        (False, []),
    ]


# --- a full disk ---------------------------------------------------------------------------------------------------


def test_the_reserve_is_really_allocated_and_given_back(path: Path) -> None:
    """Its blocks are on the disk before they are needed; a file that only claims its size is not taken for one."""
    reserve = room.Reserve(path, 1_000_000)
    reserve.path.touch()
    os.truncate(reserve.path, 1_000_000)
    assert not reserve.held()
    assert reserve.hold()
    assert reserve.path.stat().st_blocks * 512 >= 1_000_000
    reserve.free()
    assert not reserve.path.exists()


class Quiet:
    """Where acknowledgements go."""

    def __init__(self) -> None:
        self.acknowledged = 0

    def ack(self, _: Delivery) -> None:
        self.acknowledged += 1


def live(count: int, first: int, session: Quiet, at_ms: int) -> list[Arrival]:
    """Live samples, one a message, a minute apart."""
    out = []
    for n in range(first, first + count):
        payload = world.pack(world.sample(n, 1.0, at_ms + n * 60_000))
        message = world.message(payload, at_ms=at_ms + n * 60_000)
        out.append(Arrival(message, Delivery("", payload, False, n, 1, 1), session))  # type: ignore[arg-type]
    return out


def test_a_full_file_gives_back_the_reserve_makes_room_and_goes_on(path: Path) -> None:
    """SQLite says full: the batch is kept, the reserve freed, rows that InfluxDB has go, and the same batch is
    committed and acknowledged; then the reserve is held again."""
    service, session = Service(world.bridge(path, influx=INFLUX), world.registry(), SystemClock()), Quiet()
    with contextlib.closing(service._store) as store:
        now = SystemClock().now_ms() - 30 * DAY_MS
        assert service._settle(live(4000, 1, session, now))
        accept(store, 3999, now)
        checkpoint(store)
        (pages,) = store.db.execute("PRAGMA page_count").fetchone()
        store.db.execute(f"PRAGMA max_page_count = {pages}")
        batch = live(500, 4001, session, now)
        assert service.room.reserve.held()
        assert not service._settle(batch)
        assert service.room.disk_full
        assert service.room.backlog_waits
        assert not service.room.reserve.path.exists()
        assert session.acknowledged == 4000
        service._make_room()
        assert service.room.pruned == 0  # what the reserve gave back is tried first
        assert not service._settle(batch)
        service._make_room()
        assert service.room.pruned > 0
        assert service._settle(batch)
        assert session.acknowledged == 4500
        service._make_room()
        assert not service.room.disk_full
        assert service.room.reserve.held()
        assert service._memory.ledgers[(TENANT, DEVICE)].arrived(LOG, 4500)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 24 MB."""
    with servers.small_disk(tmp_path / "disk", "24m") as place:
        yield place


@pytest.mark.slow
def test_a_disk_that_others_fill_stops_neither_live_samples_nor_alerts(small_disk: Path) -> None:
    """Another program takes the last byte. Live samples are stored and acknowledged all the same, each once, an alert
    is decided and owed, old readings make the room, declared; when the disk has room again, the reserve is held."""
    path = small_disk / "store.db"
    registry = world.registry(world.station(channels=[world.channel(thresholds=world.EVERY)]))
    bridge = world.bridge(path, store_max_bytes=200_000_000)
    service, session = Service(bridge, registry, SystemClock()), Quiet()
    hours = itertools.count(0, 3600)
    with contextlib.closing(service._store) as store:
        service.room._now = lambda: float(next(hours))  # every look is an hour later: nothing passes by itself
        now = SystemClock().now_ms() - 60 * DAY_MS
        for n in range(20):
            assert service._settle(live(1000, 1 + n * 1000, session, now))
        assert service.room.reserve.held()
        other = small_disk / "other"
        with other.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(65_536))
        refused = 0
        for n in range(20, 80):
            batch = live(1000, 1 + n * 1000, session, now)
            while not service._settle(batch):
                refused += 1
                assert refused < 100
                service._make_room()
            service._make_room()
        assert refused > 0
        assert session.acknowledged == 80_000
        assert service.room.disk_full
        assert list(service._memory.ledgers[(TENANT, DEVICE)].logs[LOG].settled) == [(1, 80_000)]
        there, lost = len(ids(path)), sql(path, "SELECT sum(rows) FROM thinned")[0][0]
        assert there + lost == 80_000
        high = world.pack(world.sample(90_000, 3.4, SystemClock().now_ms()))
        message = world.message(high, at_ms=SystemClock().now_ms())
        alarm = [Arrival(message, Delivery("", high, False, 1, 1, 1), session)]  # type: ignore[arg-type]
        while not service._settle(alarm):
            service._make_room()
        assert sql(path, "SELECT count(*) FROM transitions")[0][0] > 0
        other.unlink()
        service._make_room()
        assert not service.room.disk_full
        assert service.room.reserve.held()
        assert store.db.execute("PRAGMA quick_check").fetchone() == ("ok",)


@pytest.mark.slow
def test_a_disk_that_is_full_for_a_moment_costs_no_reading(small_disk: Path) -> None:
    """Somebody fills the disk and frees it again: what InfluxDB lacks stays, and most of the rest too."""
    path = small_disk / "store.db"
    bridge = world.bridge(path, store_max_bytes=200_000_000, influx=INFLUX)
    service, session = Service(bridge, world.registry(), SystemClock()), Quiet()
    with contextlib.closing(service._store) as store:
        now, seconds = SystemClock().now_ms(), 0.0
        service.room._now = lambda: seconds
        assert service._settle(live(4000, 1, session, now - 30 * DAY_MS))
        accept(store, 3000, now)
        other = small_disk / "other"
        with other.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(65_536))
        for n in range(9):
            seconds = float(n)
            service._settle(live(100, 4001 + n * 100, session, now - 20 * DAY_MS))
            service._make_room()
        other.unlink()
        service._make_room()
        assert sql(path, "SELECT count(*) FROM thinned") == [(0,)]
        assert sql(path, "SELECT count(*) FROM observations WHERE id > 3000")[0][0] >= 1000
        assert sql(path, "SELECT count(*) FROM observations WHERE id <= 3000")[0][0] > 2000


def test_only_fullness_frees_the_reserve(path: Path) -> None:
    """Another error of the disk has another remedy."""
    store, found = crowded(path)
    with contextlib.closing(store):
        store.db.execute("PRAGMA query_only = ON")
        with pytest.raises(sqlite3.OperationalError) as e:
            store.db.execute("CREATE TABLE x (y)")
        assert not found.refused(e.value)
        assert found.reserve.held()
        assert not found.disk_full

"""The bridge's store: a batch is whole or nothing, and what was committed is what is loaded."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gateway import storefile, wire
from gateway.bridge.ledger import STORED, DeviceLedger
from gateway.bridge.notify import Outcome, Owed
from gateway.bridge.store import Store
from gateway.bridge.work import DeviceNote, Memory, Work
from gateway.channelstate import ChannelState
from gateway.episodes import Episode
from gateway.errors import GoneReason, NoticeCode, RejectCode, Unavailable
from gateway.model import Change, Condition, DeadLetter, Flag, Transition
from gateway.quality import Assessment, Line, Seen, State
from tests import world
from tests.world import DEVICE, LOG, STATION, T0, TENANT, observation

DEV = (TENANT, DEVICE)
SERIES = (TENANT, STATION, "water_level")
PLACE = (TENANT, STATION)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@contextlib.contextmanager
def opened(path: Path, letter_bytes: int = 10_000_000) -> Iterator[Store]:
    store = Store(path, letter_bytes)
    try:
        yield store
    finally:
        store.close()


def sql(path: Path, query: str) -> list[tuple[Any, ...]]:
    return storefile.rows(path, query)


def loaded(path: Path) -> Memory:
    with opened(path) as store:
        return store.load()


def commit(store: Store, memory: Memory, fill: Callable[[Work], object]) -> Work:
    """One batch, committed and swapped in."""
    work = world.work(memory, world.bridge(store.path))
    fill(work)
    store.commit(work)
    work.swap_in()
    return work


def letter(n: int = 1, **changes: Any) -> DeadLetter:
    """A record that was refused: sample n of the log."""
    topic, payload = f"suimon/v1/{TENANT}/{DEVICE}/data", f"payload {n}".encode()
    found = DeadLetter(TENANT, DEVICE, topic, RejectCode.WRONG_TYPE, "why", payload, T0, LOG, n)
    return replace(found, **changes)


def transition(at_ms: int = T0) -> Transition:
    episode = f"{STATION}.20251124T160000.000Z"
    return Transition(TENANT, STATION, "water_level", episode, Change.RISE, 0, 3, at_ms, 2.6)


def owed(key: str = "a key/duty") -> Owed:
    return Owed(key, "webhook", "duty", '{"text":"氾濫"}', T0)


def a_day(work: Work) -> None:
    """Something of everything that a batch can hold."""
    ledger = work.ledger(DEV)
    ledger.statement(wire.decode_statement(world.statement(3, 9)))
    work.statements[DEV] = wire.decode_statement(world.statement(3, 9))
    work.notice(NoticeCode.DISK_FULL, True, detail="1 MB")
    for seq in (3, 4, 6):
        ledger.log(LOG).settle(seq, STORED)
    ledger.reject(LOG, 7, RejectCode.TIME_FUTURE)
    work.observations += [observation(3), observation(4, None), observation(6, 2.7, flag=Flag.SUSPECT, tests=("gap",))]
    work.newest[SERIES] = observation(6).observed_ms
    work.letters.append(letter(7))
    work.states[SERIES] = ChannelState(
        3, 4, held=True, condition=Condition.SILENT, last_ms=T0, value=2.7, recent=((T0, 2.6), (T0 + 1, 2.7))
    )
    work.episodes[PLACE] = Episode(*PLACE, transition().episode, T0, 3)
    work.transitions.append(transition())
    work.owed.append(owed())
    work.notes += [DeviceNote(*DEV, "birth", '{"agent":"0.1"}'), DeviceNote(*DEV, "status", '{"state":"online"}')]
    work.cursors["influx"] = 2
    work.quality[SERIES] = State(Line(Seen(T0, 2.7, Flag.GOOD), (T0 - 1, 2.6)), trail=((T0 - 1, 2.6),), log=LOG, seq=6)
    work.assessments.append(Assessment(*SERIES, T0, Flag.SUSPECT, ("spike",)))


def comparable(memory: Memory) -> dict[str, Any]:
    """Memory as plain values. An empty set of numbers is as good as none."""
    return {
        "newest": memory.newest,
        "states": memory.states,
        "quality": memory.quality,
        "episodes": memory.episodes,
        "notices": memory.notices,
        "ledgers": {device: (ledger.opening, _logs(ledger)) for device, ledger in memory.ledgers.items()},
    }


def _logs(ledger: DeviceLedger) -> dict[str, Any]:
    return {
        name: (
            {kind: list(ranges) for kind, ranges in entry.kinds.items() if ranges},
            list(entry.settled),
            [(a, b, str(code)) for a, b, code in entry.rejected],
            entry.top,
            entry.held,
        )
        for name, entry in ledger.logs.items()
    }


# --- whole or nothing ----------------------------------------------------------------------------------------------


def contents(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    tables = [name for (name,) in sql(path, "SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {table: sql(path, f"SELECT * FROM {table}") for table in tables}


UNSTORABLE = [
    ("a number of 64 bits and more", observation(8, log=LOG, observed_ms=2**63)),
    ("half of a UTF-16 pair", observation(8, device="\ud800")),
    ("a value that is no number", observation(8, value=1.0, raw=object())),
]


@pytest.mark.parametrize(("what", "bad"), UNSTORABLE, ids=[w for w, _ in UNSTORABLE])
def test_a_batch_with_one_unstorable_row_leaves_no_trace(path: Path, what: str, bad: Any) -> None:
    """Nothing of the batch is written, memory is as before, and no id of it is remembered: the batch without the
    row can be committed afterwards."""
    with opened(path) as store:
        memory = store.load()
        before, tables = comparable(memory), contents(path)
        work = world.work(memory, world.bridge(path))
        a_day(work)
        work.observations.insert(2, bad)
        with pytest.raises((sqlite3.Error, OverflowError, UnicodeEncodeError)):
            store.commit(work)
        assert (comparable(memory), contents(path)) == (before, tables)
        commit(store, memory, a_day)
        assert sql(path, "SELECT seq FROM observations ORDER BY id") == [(3,), (4,), (6,)]
        orphans = "SELECT count(*) FROM observations o LEFT JOIN channels c ON c.id = o.channel_id WHERE c.id IS NULL"
        assert sql(path, orphans) == [(0,)]
        orphans = "SELECT count(*) FROM observations o LEFT JOIN logs l ON l.id = o.log_id WHERE l.id IS NULL"
        assert sql(path, orphans) == [(0,)]
        after = comparable(memory)
    assert comparable(loaded(path)) == after


def test_a_batch_that_the_disk_refuses_leaves_no_trace_and_can_be_tried_again(path: Path) -> None:
    """The file is full: nothing is written; with room again the same rows are committed."""
    with opened(path) as store:
        memory = store.load()
        tables = contents(path)
        store._db.execute("PRAGMA max_page_count = 1")  # what is there stays; nothing can be added
        work = world.work(memory, world.bridge(path))
        a_day(work)
        work.letters.append(letter(8, payload=bytes(1_000_000)))
        with pytest.raises(sqlite3.OperationalError):
            store.commit(work)
        assert contents(path) == tables
        store._db.execute("PRAGMA max_page_count = 1000000")
        commit(store, memory, a_day)
        after = comparable(memory)
    assert comparable(loaded(path)) == after


# --- load ----------------------------------------------------------------------------------------------------------


def test_what_is_loaded_is_what_was_in_memory(path: Path) -> None:
    """Ledger, newest observation, channel states, open episodes and the store's name are the same after reopening."""
    with opened(path) as store:
        memory = store.load()
        commit(store, memory, a_day)
        after, name = comparable(memory), memory.store
    again = loaded(path)
    assert comparable(again) == after
    assert again.store == name
    assert again.last_commit_ms == observation(6).received_ms
    assert again.newest == {SERIES: observation(6).observed_ms}
    receipt = again.ledgers[DEV].receipt(name)
    assert receipt is not None
    assert [(r.log, r.through, r.settled) for r in receipt.logs] == [(LOG, 4, [(6, 7)])]
    assert receipt.logs[0].rejected == [(7, 7, "time_future")]


def test_a_closed_episode_is_not_loaded(path: Path) -> None:
    """An episode that ended is history, no longer the station's open one."""
    with opened(path) as store:
        memory = store.load()
        commit(store, memory, a_day)

        def close(work: Work) -> None:
            work.episodes[PLACE] = replace(memory.episodes[PLACE], closed_ms=T0 + 5)

        commit(store, memory, close)
        assert memory.episodes == {}
    assert loaded(path).episodes == {}
    assert sql(path, "SELECT opened_ms, closed_ms, max_rank FROM episodes") == [(T0, T0 + 5, 3)]


def test_birth_and_status_are_kept_beside_the_statement(path: Path) -> None:
    """The latest of each is kept as it came, and none overwrites another."""
    with opened(path) as store:
        memory = store.load()
        commit(store, memory, a_day)
        commit(store, memory, lambda w: w.notes.append(DeviceNote(*DEV, "status", '{"state":"offline"}')))
    row = sql(path, "SELECT opening, statement_ms, status, birth FROM devices")
    assert row == [(LOG, T0, '{"state":"offline"}', '{"agent":"0.1"}')]


def test_outcomes_end_what_was_owed(path: Path) -> None:
    """A notification that was sent, and one that was given up, are no longer owed; the reason stays."""
    with opened(path) as store:
        memory = store.load()
        commit(store, memory, lambda w: w.owed.extend([owed("1/duty"), owed("2/duty"), owed("3/duty")]))
        outcomes = [Outcome(1, "sent", 2), Outcome(2, "given_up", 1, "answered 404 Not Found")]
        commit(store, memory, lambda w: w.jobs.extend(outcomes))
    rows = sql(path, "SELECT key, state, attempts, reason FROM outbox ORDER BY id")
    assert rows == [
        ("1/duty", "sent", 2, None),
        ("2/duty", "given_up", 1, "answered 404 Not Found"),
        ("3/duty", "owed", 0, None),
    ]
    assert [row[1] for row in storefile.rows(path, storefile.OWED, ("duty", 10))] == ["3/duty"]


# --- a taken millisecond -------------------------------------------------------------------------------------------


def test_a_sample_on_a_taken_millisecond_moves_by_one_then_is_a_letter(path: Path) -> None:
    """The second sample at a time stands one millisecond later, the third has no place and says so."""
    at = observation(1).observed_ms
    with opened(path) as store:
        memory = store.load()
        commit(store, memory, lambda w: w.observations.extend([observation(1, 1.1), observation(2, 1.2)]))
        same = [observation(3, 1.3, observed_ms=at), observation(4, 1.4), observation(5, 1.5, observed_ms=at, record=2)]
        commit(store, memory, lambda w: w.observations.extend(same))
    rows = sql(path, "SELECT seq, observed_ms - 1764000000000, value FROM observations ORDER BY id")
    assert rows == [(1, 1000, 1.1), (2, 2000, 1.2), (3, 1001, 1.3), (4, 4000, 1.4)]
    (found,) = sql(path, "SELECT code, log, seq, record, detail, payload FROM dead_letters")
    assert found[:4] == ("time_taken", LOG, 5, 2)
    assert str(at) in found[4]
    assert json.loads(found[5])["value"] == 1.5


def test_a_collision_within_one_batch_is_met_as_well(path: Path) -> None:
    """Three samples of one batch at one time: two stored, one letter, whatever stands around them."""
    rows = [observation(n, n / 10, observed_ms=T0) for n in (1, 2, 3)]
    with opened(path) as store:
        commit(store, store.load(), lambda w: w.observations.extend([*rows, observation(9)]))
    assert sql(path, "SELECT seq, observed_ms FROM observations ORDER BY id") == [
        (1, T0), (2, T0 + 1), (9, T0 + 9000)]  # fmt: skip
    assert sql(path, "SELECT code, seq FROM dead_letters") == [("time_taken", 3)]


def test_another_channel_has_its_own_milliseconds(path: Path) -> None:
    """Two channels of one sample share its time."""
    rows = [observation(1), observation(1, 12.6, channel="battery_voltage", record=1)]
    with opened(path) as store:
        commit(store, store.load(), lambda w: w.observations.extend(rows))
    assert sql(path, "SELECT observed_ms FROM observations") == [(T0 + 1000,), (T0 + 1000,)]


def test_the_newest_time_in_memory_is_the_moved_one(path: Path) -> None:
    """What the next gap test is judged by is what stands in the store, also after a move."""
    with opened(path) as store:
        memory = store.load()

        def two(work: Work) -> None:
            work.observations += [observation(1), observation(2, observed_ms=observation(1).observed_ms)]
            work.newest[SERIES] = observation(1).observed_ms

        commit(store, memory, two)
        assert memory.newest == {SERIES: observation(1).observed_ms + 1}

        def older(work: Work) -> None:  # a collision below the newest moves nothing back
            work.observations += [observation(5), observation(3, observed_ms=observation(1).observed_ms - 1000)]
            work.newest[SERIES] = observation(5).observed_ms

        commit(store, memory, older)
        commit(store, memory, lambda w: w.observations.append(observation(6, observed_ms=T0)))
    assert loaded(path).newest == memory.newest == {SERIES: observation(5).observed_ms}


# --- dead letters --------------------------------------------------------------------------------------------------


def test_a_letter_is_kept_once_and_counted(path: Path) -> None:
    """A record is known by device, log, number and place; a payload that tells none of these by itself."""
    unread = {"log": None, "seq": None}
    letters = [
        letter(1),
        letter(1),
        letter(1, record=1),
        letter(2),
        letter(1, payload=b"<xml/>", **unread),
        letter(1, payload=b"<xml/>", **unread),
        letter(1, payload=b"<xml/>", topic="elsewhere", **unread),
        letter(1, device="kasuga-02"),
    ]
    with opened(path) as store:
        memory = store.load()
        for x in letters:
            commit(store, memory, lambda w, x=x: w.letters.append(x))  # type: ignore[misc]
    rows = Counter(count for (count,) in sql(path, "SELECT count FROM dead_letters"))
    assert rows == {2: 2, 1: 4}
    assert sql(path, storefile.LETTERS) == [("wrong_type", 8)]


def test_the_oldest_payloads_of_a_device_give_way_never_their_reasons(path: Path) -> None:
    """A device's dead payloads stay below their ceiling; each letter keeps its code, detail and size, and another
    device's are not touched."""
    with opened(path, letter_bytes=25) as store:
        memory = store.load()
        commit(store, memory, lambda w: w.letters.append(letter(1, device="kasuga-02", payload=b"x" * 20)))
        for n in range(1, 6):
            commit(store, memory, lambda w, n=n: w.letters.append(letter(n, payload=b"%d" % n * 10)))  # type: ignore[misc]
    rows = sql(path, f"SELECT seq, payload, bytes, code, detail FROM dead_letters WHERE device = '{DEVICE}'")
    assert [(seq, payload) for seq, payload, *_ in rows] == [
        (1, None), (2, None), (3, None), (4, b"4" * 10), (5, b"5" * 10)]  # fmt: skip
    assert {row[2:] for row in rows} == {(10, "wrong_type", "why")}
    assert sql(path, "SELECT payload FROM dead_letters WHERE device = 'kasuga-02'") == [(b"x" * 20,)]


# --- alerts --------------------------------------------------------------------------------------------------------


def test_a_transition_and_its_notifications_stand_once(path: Path) -> None:
    """The keys are facts: what is decided a second time, after a restored copy, changes and adds nothing."""
    with opened(path) as store:
        memory = store.load()
        commit(store, memory, a_day)
        commit(store, memory, lambda w: w.jobs.append(Outcome(1, "sent", 1)))

        def again(work: Work) -> None:
            work.transitions += [transition(), transition(T0 + 60_000)]
            work.owed += [replace(owed(), body="another"), owed("another key/duty")]

        commit(store, memory, again)
    assert sql(path, "SELECT key FROM transitions ORDER BY id") == [(transition().key,), (transition(T0 + 60_000).key,)]
    assert sql(path, "SELECT key, state, body FROM outbox ORDER BY id") == [
        ("a key/duty", "sent", '{"text":"氾濫"}'),
        ("another key/duty", "owed", '{"text":"氾濫"}'),
    ]


# --- the file ------------------------------------------------------------------------------------------------------


def test_commits_are_durable_at_their_return(path: Path) -> None:
    """The write-ahead log is on and every commit is synced: a commit that returned survives a power cut."""
    with opened(path) as store:
        assert store._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert store._db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


@pytest.mark.parametrize(
    "table", ["observations", "dead_letters", "transitions", "outbox", "notices", "requests", "assessments"]
)
def test_ids_never_come_back(path: Path, table: str) -> None:
    """Cursors and outcomes follow the rows by number: also after all rows are gone a new one has a higher one."""

    def ids(store: Store) -> list[int]:
        commit(store, Memory(store.load().store), a_day)
        storefile.ask(path, "reload", "{}", "a test", T0)
        return [i for (i,) in store.db.execute(f"SELECT id FROM {table} ORDER BY id")]

    with opened(path) as store:
        before = ids(store)
        store.db.execute(f"DELETE FROM {table}")
        assert ids(store)[0] > before[-1]


def test_the_name_of_a_store_is_its_own(tmp_path: Path) -> None:
    """Two stores have different names, and a name stays."""
    names = [loaded(tmp_path / name).store for name in ("a.db", "b.db", "a.db")]
    assert names[0] == names[2] != names[1]


def test_two_bridges_on_one_store_are_refused(path: Path) -> None:
    """The second is told what to do; after the first has ended it may."""
    with opened(path), pytest.raises(Unavailable, match=r"in use by another bridge\. Stop that one first"):
        Store(path)
    Store(path).close()


def test_a_store_of_a_later_version_is_refused_and_left_alone(path: Path) -> None:
    """An older program does not touch a newer file, and can be tried again at once."""
    Store(path).close()
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(Unavailable, match=r"store\.db has version 99; this suimon knows 3\. Install a newer suimon"):
        Store(path)
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (99,)
        db.execute("PRAGMA user_version = 3")
    Store(path).close()


def _not_a_database(path: Path) -> None:
    path.write_bytes(b"not a database at all " * 500)


def _null_bytes(path: Path) -> None:
    path.write_bytes(bytes(8192))
    with path.open("r+b") as file:
        file.write(b"SQLite format 3\0")


def _broken_page(path: Path) -> None:
    with opened(path) as store:
        commit(store, store.load(), lambda w: w.observations.extend(observation(n) for n in range(1, 3000)))
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2 // 4096 * 4096)
        file.write(b"\xa5" * 8192)


def _cut_short(path: Path) -> None:
    with opened(path) as store:
        commit(store, store.load(), lambda w: w.observations.extend(observation(n) for n in range(1, 3000)))
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2 // 4096 * 4096)


@pytest.mark.parametrize("damage", [_not_a_database, _null_bytes, _broken_page, _cut_short])
def test_a_damaged_file_is_refused_with_a_remedy(path: Path, damage: Callable[[Path], None]) -> None:
    """A file that cannot be trusted is named as damaged, in one line, with what can be done; it is not changed."""
    damage(path)
    before = path.read_bytes()
    with pytest.raises(Unavailable, match="is damaged") as told:
        Store(path)
    assert "Restore a backup with 'suimon bridge restore', or move it away to begin a new one." in str(told.value)
    assert "\n" not in str(told.value)
    assert path.read_bytes() == before
    path.unlink()
    for rest in path.parent.glob("store.db-*"):
        rest.unlink()
    Store(path).close()  # moved away, a new one begins: nothing of the refusal is left


def test_a_place_that_cannot_be_used_is_refused_in_words(tmp_path: Path) -> None:
    """Where the folder cannot be made, one sentence and no traceback."""
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match=r"cannot use .*store\.db: .*"):
        Store(tmp_path / "file" / "store.db")


@pytest.mark.parametrize("name", ["50% full.db", "what?.db", "#1.db", "春日橋.db"])
def test_a_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    """Signs that mean something in a URI mean nothing in a path."""
    world.add(tmp_path / name, [observation(1)])
    assert sql(tmp_path / name, "SELECT seq FROM observations") == [(1,)]
    assert all(file.name.startswith(name) for file in tmp_path.iterdir())


# --- the ledger, by chance -----------------------------------------------------------------------------------------

SEQ = st.integers(1, 25)
LOGS = ("aaaa", "bbbb")
STEP = st.one_of(
    st.tuples(st.just("store"), st.sampled_from(LOGS), SEQ),
    st.tuples(st.just("reject"), st.sampled_from(LOGS), SEQ),
    st.tuples(st.just("lose"), st.sampled_from(LOGS), SEQ, SEQ, st.sampled_from(list(GoneReason))),
    st.tuples(st.just("forget"), st.sampled_from(LOGS)),
)


def _apply(ledger: DeviceLedger, step: tuple[Any, ...]) -> None:
    """As the bridge does: what was stored or rejected is not settled again."""
    match step:
        case ("store", log, seq) if not ledger.arrived(log, seq):
            ledger.log(log).settle(seq, STORED)
        case ("reject", log, seq) if not ledger.arrived(log, seq):
            ledger.reject(log, seq, RejectCode.TIME_FUTURE if seq % 2 else RejectCode.WRONG_TYPE)
        case ("lose", log, a, b, reason):
            ledger.log(log).lose(min(a, b), max(a, b), reason)
        case ("forget", log):
            ledger.log(log).forget_gone()


@given(st.lists(st.tuples(st.booleans(), st.lists(STEP, max_size=8)), max_size=8))
@hypothesis_settings(max_examples=30, deadline=None)
def test_the_ledger_is_reloaded_as_it_was(batches: list[tuple[bool, list[tuple[Any, ...]]]]) -> None:
    """Whatever is settled, lost or forgotten, in whatever batches, some of which are dropped as after a failed
    commit: the ledger in memory, the one loaded from the file and a plain account of numbers agree."""
    plain: dict[tuple[str, int], str] = {}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        with opened(path) as store:
            memory = store.load()
            for kept, steps in batches:
                work = world.work(memory, world.bridge(path))
                for step in steps:
                    _apply(work.ledger(DEV), step)
                if kept:
                    store.commit(work)
                    work.swap_in()
                    _account(plain, steps)
            after = comparable(memory)
        assert comparable(loaded(path))["ledgers"].get(DEV, (None, {}))[1] == after["ledgers"].get(DEV, (None, {}))[1]
    assert _members(after) == plain


def _account(plain: dict[tuple[str, int], str], steps: list[tuple[Any, ...]]) -> None:
    final = ("stored", "rejected")
    for step in steps:
        match step:
            case ("store" | "reject" as what, log, seq) if plain.get((log, seq)) not in final:
                plain[(log, seq)] = "stored" if what == "store" else "rejected"
            case ("lose", log, a, b, reason):
                for n in range(min(a, b), max(a, b) + 1):
                    plain.setdefault((log, n), str(reason))
            case ("forget", log):
                for key in [k for k, kind in plain.items() if k[0] == log and kind not in final]:
                    del plain[key]


def _members(memory: dict[str, Any]) -> dict[tuple[str, int], str]:
    found: dict[tuple[str, int], str] = {}
    for log, (kinds, settled, *_) in memory["ledgers"].get(DEV, (None, {}))[1].items():
        for kind, ranges in kinds.items():
            for a, b in ranges:
                for n in range(a, b + 1):
                    assert (log, n) not in found, "settled twice"
                    found[(log, n)] = str(kind)
        assert {n for a, b in settled for n in range(a, b + 1)} == {n for name, n in found if name == log}
    return found

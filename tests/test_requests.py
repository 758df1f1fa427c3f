"""What is asked of the bridge, by rows of its store: dead letters taken again or dropped, InfluxDB filled again. The
real store, ledger and pipeline; only the loop around them is left out."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway import letterfile, settings, storefile
from gateway.bridge import requests
from gateway.bridge.ledger import REJECTED, STORED
from gateway.bridge.requests import LetterRequest, RefillRequest, Requests
from gateway.bridge.store import Store
from gateway.bridge.unstorable import unstorable
from gateway.bridge.work import Memory, Rules, Work
from gateway.errors import RejectCode
from gateway.letterfile import Choice
from gateway.letters import Letter
from gateway.model import DeadLetter, Message, Observation
from gateway.stations import Registry
from tests import world
from tests.world import DEVICE, LOG, STATION, T0, TENANT

WITH_RAIN = world.registry(
    world.station(
        channels=(world.channel(thresholds=world.EVERY), world.channel("battery_voltage"), world.channel("rain"))
    )
)


class Bridge:
    """A store and what serves it, by one registry at a time."""

    def __init__(self, folder: Path) -> None:
        self.settings = world.bridge(folder / "store.db")
        self.path = self.settings.store
        self.registry = world.registry()
        self.now_ms = T0 + 3_600_000
        self.future_ms: int | None = None
        self.resent: list[Letter] = []
        self.rewound: list[int] = []
        self._open()

    def _open(self) -> None:
        self.store = Store(self.path)
        self.memory: Memory = self.store.load()
        self.requests = Requests(self.path, self.resent.extend, self.rewound.append)

    def restart(self, registry: Registry | None = None) -> None:
        self.store.close()
        self.registry = registry or self.registry
        self._open()

    def rules(self) -> Rules:
        return Rules(self.registry, self.settings, self.now_ms, self.future_ms, None)

    def write(self, work: Work) -> None:
        self.store.commit(work)
        work.swap_in()

    def take(self, *messages: Message) -> Work:
        work = Work(self.memory, self.rules())
        for message in messages:
            work.take(message)
        self.write(work)
        return work

    def ask(self, kind: str, body: msgspec.Struct | str) -> tuple[str, dict[str, Any]]:
        """Ask, let the bridge serve until it has answered, and what it said."""
        text = body if isinstance(body, str) else msgspec.json.encode(body).decode()
        request = storefile.ask(self.path, kind, text, "tanaka", self.now_ms)
        for _ in range(100):
            self.requests.serve(self.memory, self.rules, self.write)
            state, answer = storefile.answer(self.path, request)
            if state != "asked":
                return state, json.loads(answer or "")
        raise AssertionError("never answered")

    def replay(self, *ids: int, **choice: Any) -> dict[str, Any]:
        state, answer = self.ask("letters.replay", LetterRequest(Choice(list(ids), **choice)))
        assert state == "done", answer
        return answer

    def letters(self) -> list[Letter]:
        return list(letterfile.every(self.path, Choice()))

    def kinds(self, log: str = LOG) -> dict[str, list[tuple[int, int]]]:
        ledger = self.memory.ledgers[(TENANT, DEVICE)].logs[log]
        return {name: list(ranges) for name, ranges in ledger.kinds.items() if ranges}

    def rows(self, sql: str = "SELECT seq, record, value FROM observations ORDER BY id") -> list[tuple[Any, ...]]:
        return storefile.rows(self.path, sql)


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[Bridge]:
    built = Bridge(tmp_path)
    yield built
    built.store.close()


def records(seq: int, *items: dict[str, Any], at_ms: int | None = None) -> bytes:
    """A pack of one sample with these records."""
    head = {"bn": f"{STATION}/", "bt": (at_ms if at_ms is not None else T0 + 1000 * seq) / 1000, "log": LOG, "seq": seq}
    return json.dumps([(head | item) if i == 0 else item for i, item in enumerate(items)]).encode()


RAIN = {"n": "rain", "u": "mm", "v": 2.5}
LEVEL = {"n": "water_level", "u": "m", "v": 1.5}


# --- replay ------------------------------------------------------------------------------------------------------


def test_a_mended_letter_is_stored_and_its_sample_moves(bridge: Bridge) -> None:
    """After the channel is added, the letter's reading is an observation, its number moves from rejected to stored,
    in memory, on the disk and in the receipt, and InfluxDB gets a new row; the account still closes."""
    bridge.take(world.message(world.statement(1, 1), "spool"), world.message(records(1, RAIN)))
    assert bridge.kinds() == {REJECTED: [(1, 1)]}
    bridge.restart(WITH_RAIN)
    answer = bridge.replay()
    assert (answer["letters"], answer["stored"], answer["again"], answer["cannot"]) == (1, 1, {}, {})
    assert bridge.rows() == [(1, 0, 2.5)]
    assert bridge.kinds() == {STORED: [(1, 1)]}
    assert bridge.letters() == []
    receipt = bridge.memory.ledgers[(TENANT, DEVICE)].receipt("s")
    assert receipt is not None
    assert [(e.through, e.rejected) for e in receipt.logs] == [(1, [])]
    bridge.restart()
    assert bridge.kinds() == {STORED: [(1, 1)]}
    assert letterfile.tallies(bridge.path) == [(TENANT, DEVICE, "unknown_channel", "replayed", 1)]


def test_replayed_twice_it_is_there_once(bridge: Bridge) -> None:
    """The second time there is no such letter; and a copy that the device sends again is a duplicate."""
    bridge.take(world.message(records(1, RAIN)))
    bridge.restart(WITH_RAIN)
    assert bridge.replay(1)["stored"] == 1
    assert bridge.replay(1)["letters"] == 0
    assert bridge.take(world.message(records(1, RAIN))).counts["duplicate"] == 1
    assert len(bridge.rows()) == 1


def test_what_still_is_wrong_stays(bridge: Bridge) -> None:
    """Its number stays rejected; the row keeps its id, takes the present reason, and counts."""
    bridge.take(world.message(records(1, RAIN | {"u": "furlong"})))
    assert bridge.replay()["again"] == {"unknown_channel": 1}
    bridge.restart(WITH_RAIN)
    assert bridge.replay()["again"] == {"wrong_unit": 1}
    (letter,) = bridge.letters()
    assert (letter.id, letter.code, letter.count, letter.payload is not None) == (1, RejectCode.WRONG_UNIT, 3, True)
    assert bridge.kinds() == {REJECTED: [(1, 1)]}


def test_a_sample_of_which_some_was_stored(bridge: Bridge) -> None:
    """The remaining record joins it under its own place; the sample was and is stored once."""
    bridge.take(world.message(records(1, LEVEL, RAIN)))
    assert bridge.kinds() == {STORED: [(1, 1)]}
    bridge.restart(WITH_RAIN)
    assert bridge.replay()["stored"] == 1
    assert bridge.rows() == [(1, 0, 1.5), (1, 1, 2.5)]
    assert bridge.kinds() == {STORED: [(1, 1)]}


def test_a_sample_with_two_letters(bridge: Bridge) -> None:
    """It is stored with the first that is accepted; the other stays a letter of its own."""
    bridge.take(world.message(records(1, RAIN, {"n": "snow", "u": "m", "v": 1.0})))
    bridge.restart(WITH_RAIN)
    answer = bridge.replay()
    assert (answer["stored"], answer["again"]) == (1, {"unknown_channel": 1})
    assert bridge.kinds() == {STORED: [(1, 1)]}
    assert [(x.id, x.record) for x in bridge.letters()] == [(2, 1)]


def test_a_device_that_was_unknown(bridge: Bridge) -> None:
    """The whole message is taken; what the device sent again in the meantime is not stored twice, and a record that is
    still wrong becomes a letter of its own, its number settled as rejected."""
    bridge.registry = world.registry(world.station(device="another"))
    whole = json.loads(records(1, LEVEL)) + json.loads(records(2, LEVEL)) + json.loads(records(3, RAIN))
    bridge.take(world.message(json.dumps(whole).encode()))
    assert [x.code for x in bridge.letters()] == [RejectCode.UNKNOWN_DEVICE]
    bridge.restart(world.registry())
    bridge.take(world.message(records(1, LEVEL)))
    answer = bridge.replay()
    assert (answer["stored"], answer["again"]) == (1, {"unknown_channel": 1})
    assert bridge.rows() == [(1, 0, 1.5), (2, 0, 1.5)]
    assert bridge.kinds() == {STORED: [(1, 2)], REJECTED: [(3, 3)]}
    assert [(x.code, x.seq) for x in bridge.letters()] == [(RejectCode.UNKNOWN_CHANNEL, 3)]


def test_nothing_left_of_a_message(bridge: Bridge) -> None:
    """A letter whose samples all came by another way goes, and stores nothing."""
    bridge.registry = world.registry(world.station(device="another"))
    bridge.take(world.message(records(1, LEVEL)))
    bridge.restart(world.registry())
    bridge.take(world.message(records(1, LEVEL)))
    assert bridge.replay()["stored_before"] == 1
    assert (len(bridge.rows()), bridge.letters()) == (1, [])


def test_what_the_database_had_refused(bridge: Bridge) -> None:
    """Its samples were settled as rejected by that letter alone, so a replay takes them; one that has a letter of its
    own is left to that."""
    bridge.take(world.message(records(2, RAIN)))
    whole = json.loads(records(1, LEVEL)) + json.loads(records(2, RAIN))
    bridge.write(unstorable([world.message(json.dumps(whole).encode())], bridge.memory, bridge.rules()))
    assert bridge.kinds() == {REJECTED: [(1, 2)]}
    bridge.restart(WITH_RAIN)
    assert bridge.replay(code="unstorable")["stored"] == 1
    assert bridge.kinds() == {STORED: [(1, 1)], REJECTED: [(2, 2)]}
    assert bridge.replay()["stored"] == 1
    assert bridge.rows() == [(1, 0, 1.5), (2, 0, 2.5)]


def test_the_future_comes(bridge: Bridge) -> None:
    """A reading of a clock that ran ahead is accepted once its time has come, under the time it states."""
    ahead = bridge.now_ms + 3_600_000
    bridge.future_ms = bridge.now_ms
    bridge.take(world.message(records(1, LEVEL, at_ms=ahead)))
    assert bridge.replay()["again"] == {"time_future": 1}
    bridge.now_ms, bridge.future_ms = ahead, ahead
    assert bridge.replay()["stored"] == 1
    assert bridge.rows("SELECT observed_ms, received_ms FROM observations") == [(ahead, T0)]


def test_late_readings_raise_no_alert(bridge: Bridge) -> None:
    """What is replayed hours later is stored and advances nothing; what is fresh enough does."""
    bridge.registry = world.registry(world.station(channels=[world.channel("battery_voltage")]))
    times = [bridge.now_ms - 3_000_000, bridge.now_ms - 120_000, bridge.now_ms - 60_000, bridge.now_ms - 1000]
    bridge.take(*(world.message(records(n, LEVEL | {"v": 2.2}, at_ms=at)) for n, at in enumerate(times, 1)))
    bridge.restart(world.registry())
    assert bridge.replay(1)["stored"] == 1
    assert bridge.memory.states[(TENANT, STATION, "water_level")].rank == 0
    assert bridge.rows("SELECT change, to_rank FROM transitions") == []
    assert bridge.replay()["stored"] == 3
    assert bridge.memory.states[(TENANT, STATION, "water_level")].rank == 2
    assert bridge.rows("SELECT change, to_rank FROM transitions") == [("rise", 2)]


def test_a_taken_time(bridge: Bridge) -> None:
    """While both milliseconds are taken the letter stays as it is; when one is free it is stored."""
    at = T0 + 1000
    bridge.take(*(world.message(records(n, LEVEL | {"v": n / 10}, at_ms=at)) for n in (1, 2, 3)))
    (letter,) = bridge.letters()
    assert letter.code is RejectCode.TIME_TAKEN
    assert bridge.replay()["again"] == {"time_taken": 1}
    bridge.store._db.execute("DELETE FROM observations WHERE seq = 1")  # as when rows are given up for space
    assert bridge.replay()["stored"] == 1
    assert sorted(bridge.rows("SELECT seq, observed_ms FROM observations")) == [(2, at + 1), (3, at)]
    assert bridge.letters() == []


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (Message("suimon/v1/elsewhere", b"[]", T0), "its topic is not one of the wire contract"),
        (world.message(b"{", "spool"), "a device says its spool afresh; an old one would be untrue by now"),
        (world.message(b"x" * 300_000), "it was too long, and only its beginning is kept"),
    ],
)
def test_what_cannot_be_taken_again(bridge: Bridge, message: Message, says: str) -> None:
    """It is said why, and the letter stays untouched."""
    bridge.take(message)
    before = bridge.letters()
    assert bridge.replay()["cannot"] == {says: 1}
    assert bridge.letters() == before


def test_bytes_that_were_given_up(bridge: Bridge) -> None:
    """A letter without its payload cannot be replayed, and is not forgotten."""
    bridge.take(world.message(records(1, RAIN)))
    bridge.store._db.execute("UPDATE dead_letters SET payload = NULL")
    bridge.restart(WITH_RAIN)
    assert bridge.replay()["cannot"] == {"its bytes were given up for space": 1}
    assert len(bridge.letters()) == 1


def test_points_go_to_influx_again(bridge: Bridge) -> None:
    """A point that InfluxDB refused is handed to the drain, after the commit; the letter stays until it is taken."""
    work = Work(bridge.memory, bridge.rules())
    text = b"water_level,channel=water_level,station=kasuga-bridge,tenant=takamatsu value=1.0 1"
    work.letters.append(DeadLetter(TENANT, DEVICE, "influx", RejectCode.UNWRITABLE, "type conflict", text, T0))
    bridge.write(work)
    assert bridge.replay(station=STATION)["resent"] == 1
    assert [x.payload for x in bridge.resent] == [text]
    assert len(bridge.letters()) == 1


def test_another_configuration(bridge: Bridge) -> None:
    """A bridge that runs by other stations than whoever asks has read refuses and says what to do."""
    bridge.take(world.message(records(1, RAIN)))
    state, answer = bridge.ask("letters.replay", LetterRequest(Choice(), WITH_RAIN.digest()))
    assert state == "refused"
    assert "suimon bridge reload" in answer["reason"]
    assert bridge.letters()[0].count == 1
    bridge.restart(WITH_RAIN)
    state, answer = bridge.ask("letters.replay", LetterRequest(Choice(), WITH_RAIN.digest()))
    assert (state, answer["stored"]) == ("done", 1)


def test_many_letters_go_in_parts(bridge: Bridge) -> None:
    """No batch holds more than a page, the position is on the disk, and a restart between two goes on."""
    bridge.take(*(world.message(records(n, RAIN)) for n in range(1, 501)))
    bridge.restart(WITH_RAIN)
    text = msgspec.json.encode(LetterRequest(Choice())).decode()
    request = storefile.ask(bridge.path, "letters.replay", text, "tanaka", T0)
    bridge.requests.serve(bridge.memory, bridge.rules, bridge.write)
    state, progress = storefile.answer(bridge.path, request)
    assert (state, json.loads(progress or "")["stored"]) == ("asked", letterfile.PAGE)
    assert not storefile.withdraw(bridge.path, request)
    bridge.restart()
    for _ in range(2):
        bridge.requests.serve(bridge.memory, bridge.rules, bridge.write)
    state, answer = storefile.answer(bridge.path, request)
    assert (state, json.loads(answer or "")["stored"]) == ("done", 500)
    assert bridge.kinds() == {STORED: [(1, 500)]}


# --- drop --------------------------------------------------------------------------------------------------------


def test_drop_leaves_a_number_behind(bridge: Bridge) -> None:
    """The chosen letters go, the others stay, the numbers stay rejected, and how many went is kept by reason."""
    bridge.take(*(world.message(records(n, RAIN)) for n in (1, 2)), world.message(records(3, LEVEL | {"u": "h"})))
    state, answer = bridge.ask("letters.drop", LetterRequest(Choice(code="unknown_channel")))
    assert (state, answer["dropped"]) == ("done", 2)
    assert [x.seq for x in bridge.letters()] == [3]
    assert bridge.kinds() == {REJECTED: [(1, 3)]}
    assert letterfile.tallies(bridge.path) == [(TENANT, DEVICE, "unknown_channel", "dropped", 2)]


def test_ids_of_letters_never_come_back(bridge: Bridge) -> None:
    """Else a number written down last week would name another letter today."""
    bridge.take(world.message(records(1, RAIN)))
    bridge.ask("letters.drop", LetterRequest(Choice([1])))
    bridge.take(world.message(records(2, RAIN)))
    assert [x.id for x in bridge.letters()] == [2]


CHOICES: list[tuple[str, Choice, list[int]]] = [
    ("everything", Choice(), [1, 2, 3, 4]),
    ("by number", Choice([2, 4, 99]), [2, 4]),
    ("by reason", Choice(code="unknown_channel"), [1, 3]),
    ("by device", Choice(device="other-01"), [3]),
    ("since, included", Choice(since_ms=T0 + 2000), [2, 3, 4]),
    ("until, excluded", Choice(until_ms=T0 + 2000), [1]),
    ("not what came later", Choice(through=2), [1, 2]),
    ("by station, named", Choice(station=STATION), [1, 2]),
    ("by station, and what names none of its device", Choice(station=STATION, station_device=DEVICE), [1, 2, 4]),
]


@pytest.mark.parametrize(("says", "choice", "ids"), CHOICES, ids=[row[0] for row in CHOICES])
def test_choosing(bridge: Bridge, says: str, choice: Choice, ids: list[int]) -> None:
    """Everything that is stated must hold."""
    other = world.station("other", "other-01")
    bridge.registry = world.registry(world.station(), other)
    bridge.take(
        world.message(records(1, RAIN), at_ms=T0 + 1000),
        world.message(records(2, LEVEL | {"u": "h"}), at_ms=T0 + 2000),
        world.message(records(1, RAIN).replace(STATION.encode(), b"other"), device="other-01", at_ms=T0 + 3000),
        world.message(b"no json", at_ms=T0 + 4000),
    )
    assert [x.id for x in letterfile.every(bridge.path, choice)] == ids


# --- requests themselves -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "body", "says"),
    [
        ("dance", "{}", "does not know how to 'dance'"),
        ("letters.replay", "{", "it cannot be read"),
        ("letters.replay", '{"choice": {"shoe": 1}}', "it cannot be read"),
        ("letters.drop", '{"choice": {"ids": "all"}}', "it cannot be read"),
        ("refill", '{"since_ms": 0}', "bridge.yaml names no InfluxDB"),
    ],
)
def test_what_is_refused(bridge: Bridge, kind: str, body: str, says: str) -> None:
    """It is answered with a sentence, and the bridge goes on with the next."""
    state, answer = bridge.ask(kind, body)
    assert state == "refused"
    assert says in answer["reason"]
    assert bridge.ask("letters.drop", LetterRequest(Choice()))[0] == "done"


def test_the_database_refuses_one_letter(bridge: Bridge) -> None:
    """It stays as unstorable, the others of its page are taken, and the request comes to its end."""
    bridge.take(*(world.message(records(n, RAIN)) for n in (1, 2, 3)))
    bridge.restart(WITH_RAIN)
    bridge.store._db.execute(
        "CREATE TRIGGER bad BEFORE DELETE ON dead_letters WHEN old.seq = 2 BEGIN SELECT raise(ABORT, 'no'); END"
    )
    answer = bridge.replay()
    assert (answer["stored"], answer["again"]) == (2, {"unstorable": 1})
    assert [(x.seq, x.code) for x in bridge.letters()] == [(2, RejectCode.UNSTORABLE)]
    assert bridge.kinds() == {STORED: [(1, 1), (3, 3)], REJECTED: [(2, 2)]}


def test_a_disk_that_refuses_keeps_the_request(bridge: Bridge) -> None:
    """Nothing is answered, memory is as before, and it is done when the disk can be written."""
    bridge.take(world.message(records(1, RAIN)))
    bridge.restart(WITH_RAIN)
    body = msgspec.json.encode(LetterRequest(Choice())).decode()
    request = storefile.ask(bridge.path, "letters.replay", body, "tanaka", T0)
    bridge.store._db.execute("PRAGMA query_only = ON")
    assert not bridge.requests.serve(bridge.memory, bridge.rules, bridge.write)
    assert storefile.answer(bridge.path, request) == ("asked", None)
    assert bridge.kinds() == {REJECTED: [(1, 1)]}
    bridge.store._db.execute("PRAGMA query_only = OFF")
    assert bridge.requests.serve(bridge.memory, bridge.rules, bridge.write)
    assert storefile.answer(bridge.path, request)[0] == "done"
    assert bridge.kinds() == {STORED: [(1, 1)]}


def test_answers_are_kept_for_a_while(bridge: Bridge) -> None:
    """Who asked for what, and when, can be read afterwards, for the latest thousand."""
    for _ in range(3):
        bridge.ask("dance", "{}")
    assert (
        bridge.rows("SELECT kind, asked_by, asked_ms, state, done_ms FROM requests")
        == [("dance", "tanaka", bridge.now_ms, "refused", bridge.now_ms)] * 3
    )
    bridge.store._db.execute("UPDATE requests SET id = id + 1000 WHERE id = 3")
    bridge.ask("dance", "{}")
    assert bridge.rows("SELECT count(*) FROM requests") == [(2,)]


def test_without_a_bridge_it_is_done_by_the_same_code(bridge: Bridge) -> None:
    """While one runs nobody else may; when none does, whoever asks does it under the same lock."""
    bridge.take(*(world.message(records(n, RAIN)) for n in range(1, 302)))
    body = msgspec.json.encode(LetterRequest(Choice())).decode()
    request = storefile.ask(bridge.path, "letters.replay", body, "tanaka", T0)
    rules: Callable[[Memory], Rules] = lambda _: replace(bridge.rules(), registry=WITH_RAIN)  # noqa: E731
    with pytest.raises(storefile.InUse):
        requests.alone(bridge.settings, rules, request)
    bridge.store.close()
    requests.alone(bridge.settings, rules, request)
    assert json.loads(storefile.answer(bridge.path, request)[1] or "")["stored"] == 301
    bridge._open()
    assert bridge.kinds() == {STORED: [(1, 301)]}


def test_asking_what_is_not_there(tmp_path: Path) -> None:
    """No store is made by asking, and one of another version is not written."""
    path = tmp_path / "store.db"
    with pytest.raises(storefile.Unavailable, match="there is no store"):
        storefile.ask(path, "x", "{}", "tanaka", 0)
    assert not path.exists()
    world.add(path, [])
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 1")
    db.close()
    with pytest.raises(storefile.Unavailable, match="version 1"):
        storefile.ask(path, "x", "{}", "tanaka", 0)


# --- InfluxDB ----------------------------------------------------------------------------------------------------


def test_refill(bridge: Bridge) -> None:
    """The cursor goes back to before the first row that arrived since; whoever follows it is told after the commit."""
    bridge.settings = replace(bridge.settings, influx=settings.Influx("v1", "http://127.0.0.1:1", "suimon"))
    observations: list[Observation] = [world.observation(n) for n in range(1, 6)]
    work = Work(bridge.memory, bridge.rules())
    work.observations += observations
    work.cursors["influx"] = 5
    bridge.write(work)
    state, answer = bridge.ask("refill", RefillRequest(observations[2].received_ms))
    assert (state, answer) == ("done", {"position": 2, "rows": 3})
    assert bridge.rows("SELECT position FROM cursors WHERE name = 'influx'") == [(2,)]
    assert bridge.rewound == [2]
    state, answer = bridge.ask("refill", RefillRequest(observations[-1].received_ms + 1))
    assert (state, answer["reason"]) == ("refused", "InfluxDB has been given nothing that arrived since then")

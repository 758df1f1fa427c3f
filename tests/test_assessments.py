"""What is thought of an observation after it was stored: beside its real-time flag, never over it; InfluxDB has the
latest."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway import qualitylimits, settings, storefile
from gateway.bridge import prune
from gateway.bridge.influx import ASSESSED, Drain, writer_of
from gateway.bridge.store import Store
from gateway.bridge.work import Memory, Work
from gateway.disk import transaction
from gateway.model import DeadLetter, Flag
from gateway.quality import Assessment
from gateway.stations import Limits, Registry
from tests import world
from tests.servers import wait_for
from tests.world import SERIES_KEY as SERIES
from tests.world import T0, HttpServer, Reply, Request, http_server, observation

NOW = T0 + 3_600_000
MIN = 60_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


def town() -> Registry:
    level = replace(world.channel(), tests=qualitylimits.defaults("water_level"), limits=Limits((-1.0, 10.0)))
    return world.registry(world.station(channels=[level]))


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Store]:
    store = Store(path)
    try:
        yield store
    finally:
        store.close()


def take(store: Store, memory: Memory, *values: float, first: int = 1) -> Work:
    """One value a minute, each batch committed and swapped in."""
    batch = world.work(memory, world.bridge(store.path), now_ms=T0 + (first + len(values)) * MIN, reg=town())
    batch.observe([observation(first + i, v, observed_ms=T0 + (first + i) * MIN) for i, v in enumerate(values)])
    store.commit(batch)
    batch.swap_in()
    return batch


def flags(path: Path) -> list[int]:
    return [row[0] for row in storefile.rows(path, "SELECT flag FROM observations ORDER BY observed_ms")]


def assessed(path: Path) -> list[tuple[int, int, str]]:
    sql = "SELECT observed_ms, flag, tests FROM assessments ORDER BY id"
    return [((at - T0) // MIN, flag, tests) for at, flag, tests in storefile.rows(path, sql)]


def test_a_spike_across_batches_and_a_restart(path: Path) -> None:
    """The value before a restart is assessed by the one after it; the real-time flag stays as it was stored."""
    with opened(path) as store:
        take(store, store.load(), 1.0, 1.0, 1.6)
        assert assessed(path) == []
    with opened(path) as store:
        memory = store.load()
        assert memory.quality[SERIES].live.end == (T0 + 3 * MIN, 1.6)
        take(store, memory, 1.0, first=4)
    assert flags(path) == [1, 1, 1, 1]
    assert assessed(path) == [(3, 3, "spike")]


def test_another_sample_of_the_same_millisecond_is_spoken_of_as_itself(path: Path) -> None:
    """It stands one later from the beginning: what the next value says of it is kept with it, in the same batch and
    after a restart, and the first one keeps its own flag."""
    with opened(path) as store:
        memory = store.load()
        take(store, memory, 1.0, first=1)
        batch = world.work(memory, world.bridge(store.path), now_ms=T0 + 3 * MIN, reg=town())
        batch.observe([observation(2, v, observed_ms=T0 + 2 * MIN, log=log) for v, log in ((1.0, "log1"), (2.5, "x"))])
        store.commit(batch)
        batch.swap_in()
    with opened(path) as store:
        take(store, store.load(), 1.0, first=4)
    times = storefile.rows(path, "SELECT observed_ms, value FROM observations ORDER BY observed_ms")
    assert [(at - T0, v) for at, v in times] == [(MIN, 1.0), (2 * MIN, 1.0), (2 * MIN + 1, 2.5), (4 * MIN, 1.0)]
    said = storefile.rows(path, "SELECT observed_ms, flag, tests FROM assessments")
    assert [(at - T0, flag, tests) for at, flag, tests in said] == [(2 * MIN + 1, Flag.FAIL, "spike")]


def test_a_batch_that_was_not_committed_leaves_no_trace(path: Path) -> None:
    """What the tests remember follows the commit, as all memory does."""
    with opened(path) as store:
        memory = store.load()
        batch = world.work(memory, world.bridge(path), reg=town())
        batch.observe([observation(1, 1.0)])
        assert batch.quality
        assert memory.quality == {}
        assert memory.quality is not batch.quality


def test_a_state_of_another_form_is_begun_anew(path: Path) -> None:
    """A state that a later version cannot read costs the tests their memory, not the bridge its start."""
    with opened(path) as store:
        take(store, store.load(), 1.0, 1.0)
        store.db.execute("UPDATE quality_states SET state = '{\"another\": 1}'")
    with opened(path) as store:
        assert store.load().quality == {}


def test_what_is_unchanged_is_not_written(path: Path) -> None:
    """A channel that is not tested has no state at all."""
    with opened(path) as store:
        memory = store.load()
        batch = world.work(memory, world.bridge(path), reg=world.registry())
        batch.observe([observation(1, 12.6, channel="battery_voltage")])
        store.commit(batch)
    assert storefile.rows(path, "SELECT * FROM quality_states") == []


def assess(store: Store, memory: Memory, minute: int, flag: Flag, reg: Registry | None = None) -> None:
    batch = world.work(memory, world.bridge(store.path), reg=reg or town())
    batch.assessments.append(Assessment(*SERIES, T0 + minute * MIN, flag, ("spike",)))
    store.commit(batch)


@pytest.mark.parametrize("how", ["pruned", "thinned"])
def test_they_go_with_their_observation(path: Path, how: str) -> None:
    """Whatever takes a reading out of the store takes what was said of it."""
    with opened(path) as store:
        memory = store.load()
        take(store, memory, *[1.0, 1.0, 1.6, 1.0, 1.0, 1.6, 1.0, 1.0])
        assert [row[0] for row in assessed(path)] == [3, 6]
        if how == "pruned":
            assert prune.oldest(store.db, 5, None, 100) == 5
        else:
            with transaction(store.db):
                store.db.execute("DELETE FROM observations WHERE id <= 5")
        assert [row[0] for row in assessed(path)] == [6]


# --- on to InfluxDB


class Server:
    """Takes lines, or refuses those that a test names."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.refused: Callable[[str], bool] = lambda _: False

    def answer(self, request: Request) -> Reply:
        lines = request.body.decode().split("\n")
        if any(map(self.refused, lines)):
            return Reply(400, b"partial write: field type conflict")
        self.lines += lines
        return Reply(204)

    def flag_of(self, minute: int) -> list[str]:
        """Each flag that was written of a point, in order."""
        at = f" {T0 + minute * MIN}"
        return [x.split("flag=")[1].split("i")[0] for x in self.lines if x.endswith(at)]


@pytest.fixture
def database() -> Server:
    return Server()


@pytest.fixture
def server(database: Server) -> Iterator[HttpServer]:
    with http_server(database.answer) as running:
        yield running


class Heard:
    def __init__(self) -> None:
        self.points: list[int] = []
        self.assessed: list[int] = []
        self.letters: list[DeadLetter] = []

    def of_points(self, position: int, letters: list[DeadLetter]) -> None:
        self.points.append(position)
        self.letters += letters

    def of_assessed(self, position: int, letters: list[DeadLetter]) -> None:
        self.assessed.append(position)
        self.letters += letters


@contextlib.contextmanager
def draining(path: Path, server: HttpServer) -> Iterator[tuple[Drain, Heard]]:
    to, heard = settings.Influx("v1", server.url, "floods"), Heard()
    drain = Drain(to, writer_of(to), path, heard.of_points, lambda: NOW, (0.01,), assessed=heard.of_assessed)
    drain.start()
    try:
        yield drain, heard
    finally:
        drain.stop()


def test_the_flag_follows(path: Path, server: HttpServer, database: Server) -> None:
    """A point that was sent is followed by its later flag alone: same measurement, tags and time."""
    with opened(path) as store, draining(path, server) as (drain, heard):
        memory = store.load()
        take(store, memory, 1.0, 1.0, 1.6)
        drain.wake()
        wait_for("three points", lambda: heard.points == [3])
        take(store, memory, 1.0, first=4)
        drain.wake()
        wait_for("the assessment", lambda: heard.assessed == [1])
    tags = "water_level,channel=water_level,station=kasuga-bridge,tenant=takamatsu"
    assert database.lines[-1] == f"{tags} flag=3i {T0 + 3 * MIN}"
    assert database.flag_of(3) == ["1", "3"]
    assert database.flag_of(4) == ["1"]


def test_a_point_sent_later_carries_its_latest_flag(path: Path, server: HttpServer, database: Server) -> None:
    """What InfluxDB gets for the first time, or again by a refill, can no longer bring back the earlier flag."""
    with opened(path) as store:
        memory = store.load()
        take(store, memory, 1.0, 1.0, 1.6, 1.0)
        assess(store, memory, 3, Flag.FAIL)
    with draining(path, server) as (drain, heard):
        wait_for("both ends", lambda: heard.points == [4] and heard.assessed == [2])
        assert set(database.flag_of(3)) == {"4"}
        drain.rewind(0)
        wait_for("once more", lambda: heard.points == [4, 4])
    assert set(database.flag_of(3)) == {"4"}
    assert flags(path) == [1, 1, 1, 1]


def test_it_goes_on_where_its_cursor_stands(path: Path, server: HttpServer, database: Server) -> None:
    """After a restart nothing assessed before is sent again."""
    with opened(path) as store:
        memory = store.load()
        take(store, memory, 1.0, 1.0, 1.6, 1.0, 1.0, 1.6, 1.0)
        batch = world.work(memory, world.bridge(path), reg=town())
        batch.cursors = {ASSESSED: 1, "influx": 7}
        store.commit(batch)
    with draining(path, server) as (_, heard):
        wait_for("the end", lambda: heard.assessed == [2])
    assert (heard.points, database.flag_of(3), database.flag_of(6)) == ([], [], ["3"])


def test_a_flag_that_is_refused_is_a_dead_letter(path: Path, server: HttpServer, database: Server) -> None:
    """It has the fates of every point: refused alone it is kept with the server's words, the others are written."""
    with opened(path) as store:
        memory = store.load()
        take(store, memory, 1.0, 1.0, 1.6, 1.0, 1.0, 1.6, 1.0)
    database.refused = lambda line: " flag=" in line and "value" not in line and line.endswith(str(T0 + 3 * MIN))
    with draining(path, server) as (_, heard):
        wait_for("the end", lambda: heard.assessed == [2])
    assert [x.payload.decode().split(" ", 1)[1] for x in heard.letters] == [f"flag=3i {T0 + 3 * MIN}"]
    assert database.flag_of(6)[-1] == "3"

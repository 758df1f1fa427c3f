"""The drain to InfluxDB: what a line is, what an answer means, and that every point is written or has a reason."""

from __future__ import annotations

import contextlib
import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from gateway import settings, storefile
from gateway.bridge import influx
from gateway.bridge.influx import BISECT_AFTER, Answer, Drain, Fate, classify, line, writer_of
from gateway.bridge.store import Store
from gateway.errors import RejectCode
from gateway.letters import Letter, Verdict
from gateway.model import DeadLetter
from tests import world
from tests.servers import free_port, wait_for
from tests.world import HANG, HttpServer, Reply, Request, add, http_server, observation

NOW = world.T0 + 999_000
TIMEOUT_S = 30.0  # of one request: only where a test wants it is it ever reached
SHORT_S = 0.2
BACKOFF_S = (0.002,)

# --- one line ------------------------------------------------------------------------------------------------------

Point = influx.Point
PLACE = ("takamatsu", "kasuga-bridge", "water_level")
START: Point = (1, *PLACE, "water_level", 1000, 1250, 1.2, 1.0, 1, None, "kasuga-01")
NAMES = ("id", "tenant", "station", "channel", "quantity", "observed_ms", "received_ms", "raw", "value", "flag")
SERIES = "water_level,channel=water_level,station=kasuga-bridge,tenant=takamatsu"


def point(**changes: object) -> Point:
    names = (*NAMES, "fault", "device")
    return tuple(changes.get(n, v) for n, v in zip(names, START, strict=True))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("what", "given", "strings", "expected"),
    [
        (
            "a value has flag, time of receipt, value, raw value and device",
            point(),
            True,
            f'{SERIES} flag=1i,received_at=1250i,value=1.0,raw=1.2,device="kasuga-01" 1000',
        ),
        (
            "a fault has its code and no value",
            point(raw=None, value=None, flag=9, fault="no_echo"),
            True,
            f'{SERIES} flag=9i,received_at=1250i,device="kasuga-01",fault="no_echo" 1000',
        ),
        (
            "the measurement is the quantity and the channel a tag",
            point(quantity="battery_voltage", channel="battery"),
            False,
            "battery_voltage,channel=battery,station=kasuga-bridge,tenant=takamatsu "
            "flag=1i,received_at=1250i,value=1.0,raw=1.2 1000",
        ),
        (
            "without strings neither device nor fault is written",
            point(raw=None, value=None, flag=9, fault="no_echo"),
            False,
            f"{SERIES} flag=9i,received_at=1250i 1000",
        ),
        (
            "a whole number is a float all the same, or the first one would make the field an integer",
            point(value=2, raw=2),
            False,
            f"{SERIES} flag=1i,received_at=1250i,value=2.0,raw=2.0 1000",
        ),
        (
            "a number is written so that it is read back the same",
            point(value=0.1 + 0.2, raw=-1e-07),
            False,
            f"{SERIES} flag=1i,received_at=1250i,value=0.30000000000000004,raw=-1e-07 1000",
        ),
    ],
)
def test_line(what: str, given: Point, strings: bool, expected: str) -> None:
    """A point in line protocol is exactly the frozen schema."""
    assert line(given, strings) == expected, what


def test_what_may_change_is_no_tag() -> None:
    """A point that is assessed, received or assigned to a device anew meets the same series and time."""

    def identity(p: Point) -> tuple[str, str]:
        text = line(p, True)
        return text.split(" ")[0], text.split(" ")[-1]

    changed = point(id=77, flag=3, received_ms=99_000, fault="no_echo", device="kasuga-02", value=None, raw=7.0)
    assert identity(changed) == identity(point())


# --- one answer ----------------------------------------------------------------------------------------------------

PARTIAL = '{"error":"partial write: points beyond retention policy dropped=1"}'


@pytest.mark.parametrize(
    ("what", "status", "body", "retry_after", "expected"),
    [
        ("written", 204, "", None, Answer(Fate.ACCEPTED)),
        ("a portal's page is no acceptance", 200, "<html>\n Sign in", None, Answer(Fate.KEEP, "200 <html> Sign in")),
        ("taken by something that is not InfluxDB", 202, "", None, Answer(Fate.KEEP, "202")),
        (
            "a line is malformed, or of another type, or too old",
            400,
            PARTIAL,
            None,
            Answer(Fate.HALVE, f"400 {PARTIAL}", of_lines=True),
        ),
        ("some points are refused, the rest is kept", 422, "", None, Answer(Fate.HALVE, "422")),
        ("too big", 413, "", None, Answer(Fate.HALVE, "413")),
        ("the token is not taken", 401, "unauthorized", None, Answer(Fate.KEEP, "401 unauthorized")),
        ("the token may not write here", 403, "", None, Answer(Fate.KEEP, "403")),
        ("there is no such database", 404, "", None, Answer(Fate.KEEP, "404")),
        ("a redirect is not an acceptance", 302, "", None, Answer(Fate.KEEP, "302")),
        ("an unknown refusal is for a person to look at", 418, "", None, Answer(Fate.KEEP, "418")),
        ("no status at all", 0, "", None, Answer(Fate.KEEP, "0")),
        ("too fast, wait as told", 429, "", "7", Answer(Fate.KEEP, "429", 7.0)),
        ("too fast, wait as it seems fit", 429, "", None, Answer(Fate.KEEP, "429", None)),
        ("busy, wait as told", 503, "", "0.5", Answer(Fate.KEEP, "503", 0.5)),
        ("told to wait for days: an hour", 503, "", "600000", Answer(Fate.KEEP, "503", 3600.0)),
        ("told to wait for a time before now: not at all", 503, "", "-3", Answer(Fate.KEEP, "503", 0.0)),
        ("told a date without a date of its own", 503, "", "Wed, 21 Oct 2026 07:28:00 GMT", Answer(Fate.KEEP, "503")),
        ("a refusal of everything by someone else", 400, "<html>", None, Answer(Fate.HALVE, "400 <html>")),
        ("told no number", 503, "", "nan", Answer(Fate.KEEP, "503", None)),
        ("an error of the server, perhaps of one line", 500, "boom", None, Answer(Fate.DOUBT, "500 boom")),
        ("a proxy has no server behind it", 502, "", None, Answer(Fate.DOUBT, "502")),
        ("a proxy waited in vain", 504, "", None, Answer(Fate.DOUBT, "504")),
    ],
)
def test_classify(what: str, status: int, body: str, retry_after: str | None, expected: Answer) -> None:
    """An answer has one of the fates of the table."""
    assert classify(status, body, retry_after) == expected, what


@pytest.mark.parametrize(
    ("what", "retry_after", "date", "seconds"),
    [
        ("reckoned by the server's clock", "Wed, 21 Oct 2026 07:28:30 GMT", "Wed, 21 Oct 2026 07:28:00 GMT", 30.0),
        ("a time that is over", "Wed, 21 Oct 2026 07:27:00 GMT", "Wed, 21 Oct 2026 07:28:00 GMT", 0.0),
        ("next week: an hour", "Wed, 28 Oct 2026 07:28:00 GMT", "Wed, 21 Oct 2026 07:28:00 GMT", 3600.0),
        ("one with a zone, one without", "Wed, 21 Oct 2026 07:28:30", "Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("no date at all", "soon", "Wed, 21 Oct 2026 07:28:00 GMT", None),
    ],
)
def test_a_date_to_wait_for(what: str, retry_after: str, date: str, seconds: float | None) -> None:
    """Retry-After as a date is reckoned from the answer's own date: our clock may differ from the server's."""
    assert classify(503, "", retry_after, date).wait_s == seconds, what


# --- the drain, against a real HTTP server -------------------------------------------------------------------------

Judge = Callable[[list[str]], Reply]
OK = Reply(204)


class Database:
    """Keeps the lines that its `judge` answers with 204."""

    def __init__(self) -> None:
        self.judge: Judge = lambda _: OK
        self.lines: list[str] = []  # in order of arrival, again where sent again
        self.batches: list[int] = []

    def answer(self, r: Request) -> Reply:
        lines = r.body.decode().split("\n")
        self.batches.append(len(lines))
        reply = self.judge(lines)
        if reply == OK:
            self.lines += lines
        return reply


class Bridge:
    """What the drain reports to: it checks at every step that nothing is passed over."""

    def __init__(self, store: Path, database: Database) -> None:
        self._store, self._database = store, database
        self.positions, self.letters = list[int](), list[DeadLetter]()
        self.passed_over: list[str] = []

    def progress(self, position: int, letters: list[DeadLetter]) -> None:
        self.positions.append(position)
        self.letters += letters
        safe = {*self._database.lines, *(x.payload.decode() for x in self.letters)}
        self.passed_over += [text for i, text in rows(self._store) if i <= position and text not in safe]


def rows(store: Path) -> list[tuple[int, str]]:
    """What should arrive: (id, line)."""
    with contextlib.closing(storefile.connect(store)) as db:
        return [(p[0], line(p, True)) for p in db.execute(storefile.POINTS, (0, 1_000_000))]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Twenty rows."""
    path = tmp_path / "store.db"
    add(path, [observation(n, None if n == 5 else n / 10) for n in range(1, 21)])
    return path


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def server(database: Database) -> Iterator[HttpServer]:
    with http_server(database.answer) as running:
        yield running


@pytest.fixture(params=["v1", "v2"])
def to(request: pytest.FixtureRequest, server: HttpServer) -> settings.Influx:
    """Through either write API, in batches of eight."""
    return settings.Influx(
        request.param, server.url, "floods", "city", "secret-token", "suimon", "secret-word", True, TIMEOUT_S, 8
    )


@pytest.fixture
def bridge(store: Path, database: Database) -> Bridge:
    return Bridge(store, database)


@contextlib.contextmanager
def draining(
    to: settings.Influx, store: Path, bridge: Bridge, backoff_s: Sequence[float] = BACKOFF_S
) -> Iterator[Drain]:
    drain = Drain(to, writer_of(to), store, bridge.progress, lambda: NOW, backoff_s)
    drain.start()
    try:
        yield drain
    finally:
        drain.stop()


def drain_all(to: settings.Influx, store: Path, bridge: Bridge) -> None:
    last = rows(store)[-1][0]
    with draining(to, store, bridge):
        wait_for("the drain at its end", lambda: last in bridge.positions, every_s=0.01)


def assert_account(store: Path, bridge: Bridge, database: Database, unwritable: Sequence[int] = ()) -> None:
    """Every row was taken, but those rows which are letters; progress came in order and never too early."""
    expected = rows(store)
    refused = [text for i, text in expected if i in unwritable]
    assert [x.payload.decode() for x in bridge.letters] == refused
    assert {x.code for x in bridge.letters} <= {RejectCode.UNWRITABLE}
    assert set(database.lines) == {text for _, text in expected} - set(refused)
    assert bridge.positions == sorted(bridge.positions)
    assert bridge.positions[-1] == expected[-1][0]
    assert bridge.passed_over == []


def refuse(status: int, *needles: str, body: bytes = b"refused") -> Judge:
    """Answers for a batch that holds one of these lines."""
    return lambda lines: Reply(status, body) if any(n in x for x in lines for n in needles) else OK


def row(n: int) -> str:
    """The end of the n-th row's line."""
    return f" {world.T0 + 1000 * n}"


def test_all_rows_arrive_in_order_and_once(
    to: settings.Influx, store: Path, bridge: Bridge, database: Database
) -> None:
    """Where everything is taken, each row is sent once, in order, in batches of the configured size."""
    drain_all(to, store, bridge)
    assert database.lines == [text for _, text in rows(store)]
    assert database.batches == [8, 8, 4]
    assert bridge.positions == [8, 16, 20]
    assert_account(store, bridge, database)


def test_the_request_is_the_one_of_its_write_api(
    to: settings.Influx, store: Path, bridge: Bridge, server: HttpServer
) -> None:
    """Path, database and precision stand where the server looks for them, and the secret in a header alone."""
    drain_all(to, store, bridge)
    request = server.requests[0]
    if to.api == "v1":
        assert request.path == "/write?db=floods&precision=ms"
        assert request.headers["authorization"].startswith("Basic ")
    else:
        path, _, query = request.path.partition("?")
        assert (path, sorted(query.split("&"))) == ("/api/v2/write", ["bucket=floods", "org=city", "precision=ms"])
        assert request.headers["Authorization"] == "Token secret-token"
    assert "secret" not in request.path
    assert "secret" not in influx.describe(to) + repr(to)


@pytest.mark.parametrize("places", [(1,), (8,), (20,), (3, 4), (1, 8, 9, 20)], ids=str)
def test_a_poisoned_line_becomes_a_letter_and_harms_no_other(
    to: settings.Influx, store: Path, bridge: Bridge, database: Database, places: tuple[int, ...]
) -> None:
    """A line that is refused alone is a dead letter with the server's words; all others are written."""
    database.judge = refuse(400, *map(row, places), body=b'{"code":"invalid","message":"field type conflict"}')
    drain_all(to, store, bridge)
    assert_account(store, bridge, database, unwritable=places)
    for x in bridge.letters:
        assert (x.tenant, x.device, x.code, x.received_ms) == (world.TENANT, world.DEVICE, "unwritable", NOW)
        assert "field type conflict" in x.detail


def test_when_every_line_is_refused_every_line_is_a_letter(
    to: settings.Influx, store: Path, bridge: Bridge, database: Database
) -> None:
    """A store whose points all lie beyond retention comes to its end, with a reason for each of them."""
    database.judge = lambda _: Reply(400, PARTIAL.encode())
    drain_all(to, store, bridge)
    assert_account(store, bridge, database, unwritable=range(1, 21))


WRONG = {
    "a wrong path answers 400 to everything": Reply(400, b"<html>Bad Request</html>"),
    "a service that wants something else": Reply(422, b'{"detail":"field required"}'),
    "a proxy that takes no body": Reply(413),
    "a portal's page": Reply(200, b"<html>Please sign in</html>"),
}


@pytest.mark.parametrize("reply", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_address_makes_no_letter(
    to: settings.Influx, store: Path, bridge: Bridge, database: Database, server: HttpServer, reply: Reply
) -> None:
    """Who refuses every line, also those that InfluxDB would take, is not InfluxDB: everything is kept, the reason is
    there to be told, and with the right address all are written."""
    database.judge = lambda _: reply
    with draining(to, store, bridge) as drain:
        wait_for("many requests", lambda: len(server.requests) > 60)
        assert (bridge.letters, bridge.positions) == ([], [])
        assert str(reply.status) in (drain.failing or "")
        database.judge = lambda _: OK
        wait_for("the drain at its end", lambda: 20 in bridge.positions)
        assert drain.failing is None
    assert_account(store, bridge, database)


def test_a_server_that_turns_wrong_in_the_middle_makes_no_letter(
    to: settings.Influx, store: Path, bridge: Bridge, database: Database, server: HttpServer
) -> None:
    """It took a batch, then something else answers at its address: what was taken before excuses nothing."""
    taken: list[str] = []

    def judge(lines: list[str]) -> Reply:
        if taken:
            return Reply(400, b"<html>")
        taken.extend(lines)
        return OK

    database.judge = judge
    with draining(to, store, bridge):
        wait_for("many requests", lambda: len(server.requests) > 60)
        assert (bridge.letters, bridge.positions) == ([], [8])
        database.judge = lambda _: OK
        wait_for("the drain at its end", lambda: 20 in bridge.positions)
    assert_account(store, bridge, database)


@pytest.mark.parametrize("broken", [world.RESET, world.TORN], ids=["reset", "torn"])
def test_a_connection_that_breaks_in_the_answer_concludes_nothing(
    to: settings.Influx, store: Path, bridge: Bridge, database: Database, broken: Reply
) -> None:
    """Whatever the answer would have been: all is sent again, though the server may have it."""
    replies = itertools.chain([broken] * 7, itertools.repeat(OK))
    database.judge = lambda _: next(replies)
    drain_all(to, store, bridge)
    assert_account(store, bridge, database)


def test_a_time_of_a_clock_that_was_never_set_is_not_sent(
    to: settings.Influx, store: Path, bridge: Bridge, database: Database
) -> None:
    """1970 and the far future would open shards of their own: a letter says so, its neighbours are written."""
    add(store, [observation(n, observed_ms=at) for n, at in ((21, 12_000), (22, 2**52), (23, world.T0 + 30_000_000))])
    drain_all(to, store, bridge)
    assert_account(store, bridge, database, unwritable=[21, 22])
    assert all("clock that was not set" in x.detail for x in bridge.letters)


def test_it_goes_back_when_asked(to: settings.Influx, store: Path, bridge: Bridge, database: Database) -> None:
    """A refill sends again what follows a row, also while a batch is under way; nothing later is reported before."""
    with draining(to, store, bridge) as drain:
        wait_for("the drain at its end", lambda: 20 in bridge.positions)
        bridge.positions.clear()
        drain.rewind(12)
        wait_for("the drain at its end again", lambda: 20 in bridge.positions)
        bridge.positions.clear()

        once = [3]

        def judge(_: list[str]) -> Reply:
            if once:
                drain.rewind(once.pop())
            return OK

        database.judge = judge
        drain.rewind(17)
        wait_for("the drain at its end for the third time", lambda: 20 in bridge.positions)
    assert database.lines[20:28] == [text for i, text in rows(store) if i > 12]
    assert bridge.positions == [11, 19, 20]
    assert database.lines[31:] == [text for i, text in rows(store) if i > 3]


@pytest.mark.parametrize("status", [401, 403, 404, 302, 429, 503])
def test_what_someone_must_mend_is_kept_until_it_is(
    to: settings.Influx, store: Path, bridge: Bridge, database: Database, status: int
) -> None:
    """A refusal of everything that is not about a line leaves all rows in the store; afterwards all are written."""
    headers = {"Location": "http://127.0.0.1:1/"} if status == 302 else {}
    answers = itertools.chain([Reply(status, b"no", headers)] * 12, itertools.repeat(OK))
    database.judge = lambda _: next(answers)
    drain_all(to, store, bridge)
    assert database.batches == [8] * 13 + [8, 4]
    assert_account(store, bridge, database)


def test_too_large_a_batch_goes_in_smaller_ones(
    to: settings.Influx, store: Path, bridge: Bridge, database: Database
) -> None:
    """A server that takes three lines at a time gets them all so, and none is a letter."""
    database.judge = lambda lines: Reply(413) if len(lines) > 3 else OK
    drain_all(to, store, bridge)
    assert database.lines == [text for _, text in rows(store)]
    assert_account(store, bridge, database)


@pytest.mark.slow
def test_retry_after_is_kept(to: settings.Influx, store: Path, bridge: Bridge, server: HttpServer) -> None:
    """The server's own time to wait is waited, though the back-off is shorter."""
    answers = itertools.chain([Reply(429, b"", {"Retry-After": "1"})], itertools.repeat(OK))
    server.answer = lambda _: next(answers)
    with draining(to, store, bridge):
        wait_for("a second request", lambda: len(server.requests) >= 2)
    assert server.requests[1].at_s - server.requests[0].at_s >= 1.0


def test_an_error_of_the_server_for_everything_makes_no_letter(
    to: settings.Influx, store: Path, bridge: Bridge, database: Database, server: HttpServer
) -> None:
    """However long a server fails at everything, no line is blamed; when it works again all are written."""
    database.judge = lambda _: Reply(500, b"engine: write error")
    with draining(to, store, bridge):
        wait_for("many requests", lambda: len(server.requests) > 10 * BISECT_AFTER)
        assert (bridge.letters, bridge.positions) == ([], [])
        database.judge = lambda _: OK
        wait_for("the drain at its end", lambda: 20 in bridge.positions)
    assert_account(store, bridge, database)


@pytest.mark.parametrize("places", [(1,), (8,), (20,), (1, 2, 3), (9, 16)], ids=str)
def test_an_error_of_the_server_for_one_line_alone_makes_a_letter_of_it(
    to: settings.Influx, store: Path, bridge: Bridge, database: Database, places: tuple[int, ...]
) -> None:
    """A type conflict has come as 500: the line that fails again and again while others are taken is a letter, also
    where it is the first that this process ever sends."""
    database.judge = refuse(500, *map(row, places))
    drain_all(to, store, bridge)
    assert_account(store, bridge, database, unwritable=places)


def test_a_single_line_is_not_blamed_while_nothing_else_was_taken(
    to: settings.Influx, tmp_path: Path, database: Database, server: HttpServer
) -> None:
    """The only row there is fails with 500: it is kept, until a later row is taken and this one is not."""
    path = tmp_path / "one.db"
    add(path, [observation(1)])
    bridge = Bridge(path, database)
    database.judge = refuse(500, row(1))
    with draining(to, path, bridge) as drain:
        wait_for("many requests", lambda: len(server.requests) > 4 * BISECT_AFTER)
        assert bridge.letters == []
        add(path, [observation(2)])
        drain.wake()
        wait_for("the drain at its end", lambda: 2 in bridge.positions)
    assert_account(path, bridge, database, unwritable=[1])


def test_a_line_is_not_blamed_for_an_error_that_passes(
    to: settings.Influx, store: Path, bridge: Bridge, database: Database
) -> None:
    """A line that fails alone once and again, but is taken the third time, is no letter."""
    alone = itertools.chain([Reply(500), Reply(500)], itertools.repeat(OK))

    def judge(lines: list[str]) -> Reply:
        if not any(row(3) in x for x in lines):
            return OK
        return Reply(500) if len(lines) > 1 else next(alone)

    database.judge = judge
    drain_all(to, store, bridge)
    assert_account(store, bridge, database)


@pytest.mark.slow
def test_a_server_that_hangs_is_waited_for(
    to: settings.Influx, store: Path, bridge: Bridge, database: Database, server: HttpServer
) -> None:
    """No answer at all concludes nothing, however often; afterwards all are written."""
    database.judge = lambda _: HANG
    with draining(replace(to, timeout_s=SHORT_S), store, bridge):
        wait_for("many requests", lambda: len(server.requests) > 2 * BISECT_AFTER)
        assert (bridge.letters, bridge.positions) == ([], [])
        database.judge = lambda _: OK
        wait_for("the drain at its end", lambda: 20 in bridge.positions)
    assert_account(store, bridge, database)


@pytest.mark.slow
def test_a_batch_that_always_times_out_is_halved(
    to: settings.Influx, store: Path, bridge: Bridge, database: Database
) -> None:
    """A server too slow for a whole batch, but not for a part of it, gets parts."""
    database.judge = lambda lines: HANG if len(lines) > 5 else OK
    drain_all(replace(to, timeout_s=SHORT_S, batch=20), store, bridge)
    assert_account(store, bridge, database)


def test_a_search_that_the_server_ends_concludes_nothing(
    to: settings.Influx, store: Path, bridge: Bridge, database: Database
) -> None:
    """A server that goes down while the refused line is sought leaves all rows where they are."""
    replies = itertools.chain(
        [Reply(400), Reply(400), Reply(400), Reply(400), Reply(503), Reply(400), Reply(401)], itertools.repeat(OK)
    )
    database.judge = lambda _: next(replies)
    drain_all(to, store, bridge)
    assert_account(store, bridge, database)


def test_an_answer_that_is_not_http_or_not_text_is_no_answer(
    to: settings.Influx, store: Path, bridge: Bridge, database: Database
) -> None:
    """A wrong service on the port, or a proxy's page in another encoding, ends nothing."""
    replies = itertools.chain(
        [world.NOT_HTTP, Reply(502, "エラー".encode("shift-jis")), Reply(401, b"\xff\xfe")], itertools.repeat(OK)
    )
    database.judge = lambda _: next(replies)
    drain_all(to, store, bridge)
    assert_account(store, bridge, database)


@pytest.mark.parametrize("api", ["v1", "v2"])
def test_an_absent_server_is_one_message_and_one_more_when_it_is_back(
    api: str, store: Path, database: Database, bridge: Bridge, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing listens at first: one warning, retries, nothing lost, no traceback; one line when points are taken."""
    caplog.set_level(logging.INFO, influx.__name__)
    port = free_port()
    to = settings.Influx(api, f"http://127.0.0.1:{port}", "floods", token="secret-token", timeout_s=TIMEOUT_S)  # type: ignore[arg-type]
    pause = time.monotonic() + 0.5
    with draining(to, store, bridge):
        wait_for("a while without a server", lambda: time.monotonic() > pause)
        with http_server(database.answer, port):
            wait_for("the drain at its end", lambda: 20 in bridge.positions)
    assert_account(store, bridge, database)
    warning, again = [r for r in caplog.records if r.name == influx.__name__]
    assert warning.levelname == "WARNING"
    assert "does not take points" in warning.getMessage()
    assert "takes points again after" in again.getMessage()
    assert "Traceback" not in caplog.text
    assert "secret" not in caplog.text


def test_a_refused_line_is_said_once_for_its_batch(
    to: settings.Influx, store: Path, bridge: Bridge, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """A dead letter is not silent: one warning for a batch, with the number and the server's reason."""
    database.judge = refuse(400, row(2), row(3), body=b"field type conflict")
    drain_all(to, store, bridge)
    said = [r.getMessage() for r in caplog.records if r.name == influx.__name__]
    assert len(said) == 1
    assert "2 of 8" in said[0]
    assert "field type conflict" in said[0]


def test_it_goes_on_where_the_cursor_stands(
    to: settings.Influx, store: Path, bridge: Bridge, database: Database
) -> None:
    """After a restart only rows beyond the stored position are sent."""
    opened = Store(store)
    work = world.work(opened.load(), world.bridge(store))
    work.cursors[influx.CURSOR] = 17
    opened.commit(work)
    opened.close()
    drain_all(to, store, bridge)
    assert database.lines == [text for i, text in rows(store) if i > 17]


def test_new_rows_follow_when_it_is_woken(to: settings.Influx, store: Path, bridge: Bridge, database: Database) -> None:
    """A drain that had come to its end goes on with what is stored later."""
    with draining(to, store, bridge) as drain:
        wait_for("the drain at its end", lambda: 20 in bridge.positions)
        add(store, [observation(n) for n in range(21, 24)])
        drain.wake()
        wait_for("the new rows", lambda: 23 in bridge.positions)
    assert_account(store, bridge, database)


def test_a_store_that_cannot_be_read_for_a_while_is_waited_for(
    to: settings.Influx, store: Path, bridge: Bridge, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """A volume that is gone and comes back ends neither the drain nor its order, and is said once."""
    with draining(to, store, bridge) as drain:
        wait_for("the drain at its end", lambda: 20 in bridge.positions)
        store.rename(store.with_name("away.db"))
        drain.wake()
        wait_for("a word of it", lambda: "points wait: cannot open the store" in caplog.text)
        drain.wake()
        store.with_name("away.db").rename(store)
        add(store, [observation(n) for n in range(21, 24)])
        drain.wake()
        wait_for("the new rows", lambda: 23 in bridge.positions)
    assert_account(store, bridge, database)
    assert caplog.text.count("points wait") == 1


def test_a_stop_ends_the_waiting(to: settings.Influx, store: Path, bridge: Bridge, database: Database) -> None:
    """Stopped while it waits for the server, the drain ends and has passed over nothing."""
    database.judge = lambda _: Reply(503)
    with draining(to, store, bridge, backoff_s=(3600.0,)) as drain:
        wait_for("a refusal", lambda: database.batches)
        drain.stop()
        assert "influx" not in [t.name for t in threading.enumerate()]
    assert (bridge.positions, bridge.letters) == ([], [])


# --- what is asked of it --------------------------------------------------------------------------------------------


def test_rewound_it_sends_again(to: settings.Influx, store: Path, database: Database, bridge: Bridge) -> None:
    """From the row that it was put back to, to the end; each point is one point all the same."""
    with draining(to, store, bridge) as drain:
        wait_for("the end", lambda: 20 in bridge.positions, every_s=0.01)
        bridge.positions.clear()
        drain.rewind(10)
        wait_for("the end again", lambda: 20 in bridge.positions, every_s=0.01)
    assert len(database.lines) == 30
    assert len(set(database.lines)) == 20


def test_rewound_in_the_middle_of_a_batch(to: settings.Influx, store: Path, database: Database, bridge: Bridge) -> None:
    """While a batch is in doubt, and other lines are tried as witnesses, nothing of it is reported any more, and the
    row that it was put back to is not forgotten."""
    rewound = threading.Event()

    def doubt(lines: list[str]) -> Reply:
        return OK if rewound.is_set() or len(database.batches) == 1 else Reply(500, b"boom")

    database.judge = doubt
    with draining(to, store, bridge, (0.01,)) as drain:
        wait_for("some refusals", lambda: len(database.batches) > 8, every_s=0.01)
        drain.rewind(4)
        time.sleep(0.1)  # rounds of witnesses, which read the store as well
        rewound.set()
        wait_for("the end", lambda: 20 in bridge.positions, every_s=0.01)
    assert bridge.positions == [8, 12, 20]  # and never 16, of the batch that was under way
    assert bridge.letters == []


def test_a_letter_is_sent_again(to: settings.Influx, store: Path, database: Database) -> None:
    """Alone; what is taken is replayed, what is refused stays with the present reason, and while the server does not
    answer nothing is said."""
    said = list[Verdict]()
    drain = Drain(to, writer_of(to), store, lambda *_: None, lambda: NOW, BACKOFF_S, resent=said.extend)
    drain.start()
    try:
        wait_for("the end", lambda: len(database.lines) == 20, every_s=0.01)
        database.judge = lambda lines: Reply(400, b"field type conflict") if "bad" in lines[0] else OK
        letters = [
            Letter(n, "t", "d", "influx", RejectCode.UNWRITABLE, "", text, 1, 0, None, None, 0, 1)
            for n, text in enumerate((b"good value=1 1", b"bad value=1 1"), 1)
        ]
        drain.resend(letters)
        wait_for("two verdicts", lambda: len(said) == 2, every_s=0.01)
        database.judge = lambda _: Reply(503)
        drain.resend(letters)
        wait_for("an attempt", lambda: database.batches[-1] == 1 and len(database.batches) >= 6, every_s=0.01)
    finally:
        drain.stop()
    assert [(x.letter, x.fate) for x in said] == [(1, "replayed"), (2, "again")]
    assert "field type conflict" in said[1].detail

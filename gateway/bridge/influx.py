"""Drains the store to InfluxDB, at whatever speed it answers. Each answer is accepted, to be halved, or kept. A line
is given up only where the server itself names lines, or takes another line while it refuses this one: whoever answers
400 to everything is not InfluxDB.

What the quality tests said later of an observation follows behind a second cursor: the same point, its flag alone. A
point that is sent for the first time, or again, carries its latest flag.

The same point written twice is one point, so anything may be sent again. The write API is `/write` for InfluxDB 1.x
and `/api/v2/write` for 2, 3 and VictoriaMetrics.
"""

from __future__ import annotations

import logging
import math
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import Enum
from pathlib import Path
from typing import Protocol

from gateway import settings, storefile, units
from gateway.disk import DISK, Disk
from gateway.errors import RejectCode, Unavailable
from gateway.letters import Letter, Verdict
from gateway.model import DeadLetter

log = logging.getLogger(__name__)

CURSOR = "influx"
ASSESSED = "influx_assessments"
BACKOFF_S = (1.0, 2.0, 5.0, 15.0, 30.0, 60.0)
BISECT_AFTER = 5  # answers of "server error" for the same batch, before looking for one line as the cause
BLAME_AFTER = 3  # such answers to one line alone, each with another line taken in between
RESEND_LIMIT = 10_000  # letters waiting to be sent again; a letter beyond stays as it was
ROUND_S = 60.0  # besides the time-out: a round that takes longer hangs
WITNESSES = 8  # lines tried in search of one that the server takes
# InfluxDB's own words for single lines that it refuses while it keeps the others; no proxy speaks so.
OF_LINES = ("partial write", "field type conflict", "beyond retention policy", "outside retention")
# A time outside of these is a clock that was never set; InfluxDB would open a shard for it, or refuse the batch.
EARLIEST_MS, LATEST_MS = 946_684_800_000, 4_102_444_800_000  # 2000 to 2100

# `received_ms` is None where only the flag is to be written.
Point = tuple[int, str, str, str, str, int, int | None, float | None, float | None, int, str | None, str]


class Fate(Enum):
    ACCEPTED = "accepted"
    HALVE = "halve"  # some line of it is refused, or it is too large
    KEEP = "keep"  # not now
    DOUBT = "doubt"  # an error of the server: perhaps not now, perhaps one line


@dataclass(frozen=True, slots=True)
class Answer:
    """`of_lines`: the reason speaks of single lines, or was found to be the doing of one."""

    fate: Fate
    reason: str = ""
    wait_s: float | None = None
    of_lines: bool = False


class Writer(Protocol):
    """Sends lines; never raises for an answer or a missing one."""

    def write(self, lines: Sequence[str]) -> Answer: ...


def classify(status: int, body: str, retry_after: str | None, date: str | None = None) -> Answer:
    """What an HTTP answer means, by the table of the wire contract. `retry_after` and `date` are its headers."""
    reason = f"{status} {' '.join(body.split())[:300]}".strip()
    if status == 204:
        return Answer(Fate.ACCEPTED)
    if status in (400, 413, 422):
        return Answer(Fate.HALVE, reason, of_lines=any(words in body for words in OF_LINES))
    if status in (429, 503):
        return Answer(Fate.KEEP, reason, _seconds(retry_after, date))
    if status >= 500:
        return Answer(Fate.DOUBT, reason)
    # 401, 403, 404, a page with 200 that a portal shows, and whatever else: someone must look, nothing is lost
    return Answer(Fate.KEEP, reason)


def _seconds(retry_after: str | None, date: str | None) -> float | None:
    """Seconds, or a date: reckoned from the server's own `Date`, because the two clocks need not agree."""
    try:
        seconds = float(retry_after) if retry_after else math.nan
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(retry_after or "") - parsedate_to_datetime(date or "")).total_seconds()
        except (ValueError, TypeError):  # no date, or one of them without a zone
            seconds = math.nan
    return min(3600.0, max(0.0, seconds)) if math.isfinite(seconds) else None


def no_answer(error: Exception) -> Answer:
    """What it means that none came: a time-out may be the doing of one batch; anything else is a server not there."""
    from urllib3.exceptions import ReadTimeoutError

    fate = Fate.DOUBT if isinstance(error, ReadTimeoutError) else Fate.KEEP
    return Answer(fate, f"no answer ({type(error).__name__})")


def _judge(status: int, body: str, headers: Mapping[str, str] | None) -> Answer:
    found = headers or {}
    return classify(status, body, found.get("Retry-After"), found.get("Date"))


class V1Writer:
    """InfluxDB 1.x."""

    def __init__(self, to: settings.Influx) -> None:
        import urllib3

        self._errors = urllib3.exceptions.HTTPError
        headers = urllib3.make_headers(basic_auth=f"{to.username}:{to.password}") if to.username else {}
        self._http = urllib3.PoolManager(
            maxsize=1, headers=headers, retries=False, timeout=urllib3.Timeout(total=to.timeout_s)
        )
        self._url, self._fields = f"{to.url.rstrip('/')}/write", {"db": to.bucket, "precision": "ms"}

    def write(self, lines: Sequence[str]) -> Answer:
        from urllib.parse import urlencode

        try:
            r = self._http.request("POST", f"{self._url}?{urlencode(self._fields)}", body="\n".join(lines).encode())
        except self._errors as e:
            return no_answer(e)
        return _judge(r.status, r.data.decode("utf-8", "replace"), r.headers)


class V2Writer:
    """InfluxDB 2 and 3, VictoriaMetrics; through influxdb-client's service, which neither queues nor drops."""

    def __init__(self, to: settings.Influx) -> None:
        from influxdb_client.client.influxdb_client import InfluxDBClient
        from influxdb_client.rest import ApiException
        from influxdb_client.service.write_service import WriteService
        from urllib3.exceptions import HTTPError

        self._to, self._refusal, self._silence = to, ApiException, HTTPError
        self._client = InfluxDBClient(
            url=to.url, token=to.token or "", org=to.org, timeout=round(to.timeout_s * 1000), retries=False
        )
        # The service tells the status, the API above it does not: anything but 204 is no acceptance.
        self._api = WriteService(self._client.api_client)  # type: ignore[no-untyped-call]

    def write(self, lines: Sequence[str]) -> Answer:
        try:
            _, status, headers = self._api.post_write_with_http_info(  # type: ignore[no-untyped-call]
                self._to.org, self._to.bucket, "\n".join(lines).encode(), precision="ms"
            )
        except self._refusal as e:
            return _judge(int(e.status or 0), str(e.body or e.reason), e.headers)
        except (self._silence, OSError, UnicodeDecodeError) as e:  # a page in another encoding is not from InfluxDB
            return no_answer(e)
        return _judge(status, "", headers)


def writer_of(to: settings.Influx) -> Writer:
    return V1Writer(to) if to.api == "v1" else V2Writer(to)


def line(point: Point, strings: bool) -> str:
    """A point in line protocol. The schema is frozen: measurement = quantity; tags tenant, station, channel.
    Names are lower-case ASCII without spaces, commas or equal signs by configuration, so none needs escaping."""
    _, tenant, station, channel, quantity, observed_ms, received_ms, raw, value, flag, fault, device = point
    fields = [f"flag={flag}i"]
    if received_ms is not None:
        fields.append(f"received_at={received_ms}i")
    if value is not None:
        fields.append(f"value={float(value)!r}")
    if raw is not None:
        fields.append(f"raw={float(raw)!r}")
    if strings and received_ms is not None:
        fields.append(f'device="{device}"')
        if fault is not None:
            fields.append(f'fault="{fault}"')
    return f"{quantity},channel={channel},station={station},tenant={tenant} {','.join(fields)} {observed_ms}"


Progress = Callable[[int, list[DeadLetter]], None]


@dataclass(slots=True)
class _Rows:
    """Rows of the store behind a cursor. `back` is where it was put back to and has not gone yet."""

    cursor: str
    query: str
    progress: Progress
    position: int = 0
    back: int | None = None


class Drain:
    """Follows the store's rows by a cursor, and what was assessed of them by another. `progress(position, letters)` and
    `assessed` hand the bridge how far each has come and which points will never be accepted; the bridge writes both."""

    def __init__(
        self,
        to: settings.Influx,
        writer: Writer,
        store: Path,
        progress: Progress,
        now_ms: Callable[[], int],
        backoff_s: Sequence[float] = BACKOFF_S,
        disk: Disk = DISK,
        resent: Callable[[list[Verdict]], None] = lambda _: None,
        beat: Callable[[str, float], None] = lambda _loop, _s: None,
        assessed: Progress = lambda _position, _letters: None,
        leaves: Callable[[str, str, str, str], bool] = lambda *_: True,
    ) -> None:
        """`leaves(tenant, station, channel, quantity)`: whether its points may go there."""
        self._to, self._writer, self._store, self._disk = to, writer, store, disk
        self._may_leave = leaves
        self._now_ms, self._backoff_s, self._resent, self._beat = now_ms, backoff_s, resent, beat
        self._points = _Rows(CURSOR, storefile.POINTS, progress)
        self._assessed = _Rows(ASSESSED, storefile.ASSESSED, assessed)
        self._asked = threading.Lock()  # over what others leave here: where to go back to, and what follows
        self._again: deque[Letter] = deque(maxlen=RESEND_LIMIT)
        self._wake, self._stop = threading.Event(), threading.Event()
        self.failing: str | None = None  # why points wait now
        self._failures, self._readable = 0, True
        self._good: Point | None = None  # one that the server took
        self._thread = threading.Thread(target=self._run, name="influx", daemon=True)

    def start(self) -> None:
        for rows in (self._points, self._assessed):
            sql = "SELECT position FROM cursors WHERE name = ?"
            found = storefile.rows(self._store, sql, (rows.cursor,), self._disk)
            rows.position = found[0][0] if found else 0
        self._wake.set()
        self._thread.start()

    @property
    def position(self) -> int:
        """Up to which row InfluxDB has the readings."""
        return self._points.position

    def wake(self) -> None:
        self._wake.set()

    def stop(self) -> None:
        self._stop.set()
        self._wake.set()
        self._thread.join(self._to.timeout_s + 1.0)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._rest(self._wake, 5.0)
            self._wake.clear()
            self._send_again()
            while not self._stop.is_set() and (self._batch(self._points) or self._batch(self._assessed)):
                pass  # readings first: a flag must not come before its point

    def _batch(self, rows: _Rows) -> bool:
        """Deliver what comes next. False: nothing does, or we were stopped while waiting."""
        points = self._next(rows)
        leaving = [p for p in points if self._may_leave(*p[1:5])]
        datable = [p for p in leaving if _datable(p)]
        letters = self._deliver(datable) if datable else []
        if letters is None or not points:
            return False
        letters += [self._letter(p, _undated(p[5])) for p in leaving if not _datable(p)]
        if letters:
            counts = f"{len(letters)} of {len(points)}"
            log.warning("InfluxDB refuses %s points for good (%s): dead letters", counts, letters[0].detail)
        self._advance(rows, points[-1][0], letters)
        return True

    def _next(self, rows: _Rows) -> list[Point]:
        with self._asked:
            if rows.back is not None:
                rows.position, rows.back = min(rows.back, rows.position), None
        return self._read(rows)

    def _advance(self, rows: _Rows, position: int, letters: list[DeadLetter]) -> None:
        with self._asked:
            if rows.back is None:
                rows.position = position
                rows.progress(position, letters)

    def rewind(self, position: int) -> None:
        """Go on from an earlier row, whatever is under way. Of that nothing is reported any more. What was assessed
        comes with the points, which carry their latest flag."""
        with self._asked:
            self._points.back = position
        self._wake.set()

    def resend(self, letters: Sequence[Letter]) -> None:
        """Points that were refused once: try them again, each alone."""
        with self._asked:
            self._again.extend(letters)
        self._wake.set()

    def _send_again(self) -> None:
        """What is refused again stays with the present reason. While the server does not answer, the letters stay as
        they are: whoever asked may ask again."""
        while not self._stop.is_set():
            with self._asked:
                letter = self._again.popleft() if self._again else None
            if letter is None:
                return
            answer = self._writer.write([(letter.payload or b"").decode()])
            if answer.fate is Fate.ACCEPTED:
                self._resent([Verdict(letter.id, "replayed")])
            elif answer.fate is Fate.HALVE:
                self._resent([Verdict(letter.id, "again", RejectCode.UNWRITABLE, answer.reason)])
            else:
                with self._asked:
                    left = len(self._again) + 1
                    self._again.clear()
                log.warning("%d points of dead letters are not taken now (%s); replay them later", left, answer.reason)

    def _read(self, rows: _Rows) -> list[Point]:
        """What comes next; nothing where the store cannot be read now."""
        try:
            points = storefile.rows(self._store, rows.query, (rows.position, self._to.batch), self._disk)
        except Unavailable as e:
            if self._readable:
                log.error("points wait: %s", e)
            self._readable = False
            return []
        self._readable = True
        return points

    def _deliver(self, points: list[Point]) -> list[DeadLetter] | None:
        """Every point written or found unwritable; None when stopped before that."""
        waits = 0
        while not self._stop.is_set():
            answer = self._send(points)
            if answer.fate is Fate.ACCEPTED:
                self._recovered()
                return []
            in_doubt = answer.fate is Fate.DOUBT and waits >= BISECT_AFTER
            if answer.fate is Fate.HALVE or (in_doubt and self._server_works(points[0])):
                letters: list[DeadLetter] = []
                if self._halves(points, letters, answer):
                    self._recovered()
                    return letters
            self._complain(answer)
            self._rest(self._stop, answer.wait_s or self._backoff_s[min(waits, len(self._backoff_s) - 1)])
            waits += 1
        return None

    def _rest(self, until: threading.Event, seconds: float) -> None:
        """Wait, and say by when we come round again."""
        self._beat("influx", seconds + self._to.timeout_s + ROUND_S)
        until.wait(seconds)

    def _send(self, points: list[Point]) -> Answer:
        self._beat("influx", self._to.timeout_s + ROUND_S)
        answer = self._writer.write([line(p, self._to.strings) for p in points])
        if answer.fate is Fate.ACCEPTED:
            self._good = points[0]
        return answer

    def _halves(self, points: list[Point], letters: list[DeadLetter], answer: Answer) -> bool:
        """Find the lines that fail alone. False where the server stopped taking lines: then nothing is concluded."""
        if len(points) == 1:
            final = self._insist(points, answer)
            if final.fate is Fate.HALVE and not final.of_lines:
                if not self._server_works(points[0]):
                    return False
                final = self._send(points)  # again: it may have been another that refused it
            if final.fate is Fate.HALVE:
                letters.append(self._letter(points[0], final))
            return final.fate in (Fate.HALVE, Fate.ACCEPTED)
        middle = len(points) // 2
        for half in (points[:middle], points[middle:]):
            part = self._send(half)
            if self._stop.is_set() or part.fate is Fate.KEEP:
                return False
            if part.fate is not Fate.ACCEPTED and not self._halves(half, letters, part):
                return False
        return True

    def _insist(self, alone: list[Point], answer: Answer) -> Answer:
        """A line is blamed for an error of the server only where it fails again and again while another is taken:
        then the doubt has become a refusal."""
        for _ in range(BLAME_AFTER - 1):
            if answer.fate is not Fate.DOUBT:
                return answer
            if self._stop.is_set() or not self._server_works(alone[0]):
                return Answer(Fate.KEEP)
            answer = self._send(alone)
        return Answer(Fate.HALVE, answer.reason, of_lines=True) if answer.fate is Fate.DOUBT else answer

    def _server_works(self, suspect: Point) -> bool:
        """Whether it takes a line other than this one: the last that it took, or some of those that wait."""
        for witness in self._witnesses():
            fate = self._send([witness]).fate if witness != suspect else Fate.DOUBT
            if fate in (Fate.ACCEPTED, Fate.KEEP) or self._stop.is_set():
                return fate is Fate.ACCEPTED
        return False

    def _witnesses(self) -> Iterator[Point]:
        if self._good:
            yield self._good
        waiting = [p for p in self._read(self._points) if self._may_leave(*p[1:5])]
        yield from waiting[:: max(1, len(waiting) // WITNESSES)][-WITNESSES:]

    def _letter(self, point: Point, answer: Answer) -> DeadLetter:
        text = line(point, self._to.strings).encode()
        return DeadLetter(point[1], point[11], "influx", RejectCode.UNWRITABLE, answer.reason, text, self._now_ms())

    def _complain(self, answer: Answer) -> None:
        if self._failures == 0:
            log.warning("InfluxDB at %s does not take points (%s); they wait in the store", self._to.url, answer.reason)
        self._failures += 1
        self.failing = answer.reason[:100]

    def _recovered(self) -> None:
        if self._failures:
            log.info("InfluxDB at %s takes points again after %d attempts", self._to.url, self._failures + 1)
        self._failures, self.failing = 0, None


def _datable(point: Point) -> bool:
    return EARLIEST_MS <= point[5] < LATEST_MS


def _undated(observed_ms: int) -> Answer:
    return Answer(
        Fate.HALVE, f"the time {observed_ms} ms lies outside the years 2000 to 2100: a clock that was not set"
    )


def describe(to: settings.Influx) -> str:
    """For the log, without secrets."""
    return f"InfluxDB API {to.api} at {to.url}, {to.bucket}, time-out {units.in_words(to.timeout_s)}"

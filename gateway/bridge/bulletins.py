"""Reads the Meteorological Agency's bulletins from its feed, in a thread of its own, and hands them to the writer as
rows of the journal. What is received is shown, never judged: no alert of ours waits for it or follows from it.

A document is fetched once. A row stays with the reader until it stands in the store, and only then is its document
noted as read: a kill in between fetches it again, and what stands there already is not written twice.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import msgspec

from gateway import bulletin, settings, storefile, units
from gateway.bridge.delivery import BROKEN
from gateway.bridge.fetching import Fetcher, Got
from gateway.bulletin import BadBulletin, Bulletin, Named, Said
from gateway.bulletinstanding import READ, Standing
from gateway.disk import DISK, Disk
from gateway.instants import iso
from gateway.journal import Entry, Kind

log = logging.getLogger(__name__)

BACKOFF_S = (10.0, 30.0, 60.0, 120.0, 300.0)
OLD_MS = 48 * 3_600_000  # what is older is no news; the page shows as much
GAP_MS = 8 * 60_000  # the feed keeps at least ten minutes: what was missed longer is in the long one
ROUND_S = 120.0  # besides the time-out: a round that takes longer hangs
TRIES = 5  # at a document that is not there
AT_ONCE = 200  # documents fetched in one round
AFTER_MS = 20_000  # of a minute: by then the feed of it is written
FATES = ("shown", "elsewhere", "test", "unreadable", "unfetched")
_ROWS = "SELECT tenant, body FROM journal WHERE kind = 'bulletin' AND at_ms > ?"
Key = tuple[str, str]  # document, tenant


@dataclass(slots=True)
class Known:
    """What stands in the store: documents that were read, by their time; of each line of bulletins and tenant, when it
    was said last, and whether something of it held."""

    read: dict[str, int] = field(default_factory=dict)
    lines: dict[Key, tuple[int, bool]] = field(default_factory=dict)


def known(store: Path, now_ms: int, disk: Disk = DISK) -> Known:
    """Raises Unavailable."""
    found = storefile.rows(store, "SELECT value FROM meta WHERE key = ?", (READ,), disk)
    out = Known(msgspec.json.decode(found[0][0], type=dict[str, int]) if found else {})
    for tenant, body in storefile.rows(store, _ROWS, (now_ms - OLD_MS,), disk):
        received = msgspec.json.decode(body).get("received")
        if received is None:
            continue  # entered by hand
        out.read[received["document"]] = received["updated_ms"]
        _follow(out.lines, (received["line"], tenant), received["reported_ms"], received["over"])
    return out


def standing_rows(store: Path, keys: Mapping[Key, Entry], disk: Disk = DISK) -> set[Key]:
    """Those of these rows that stand in the store."""
    since_ms = min(x.at_ms for x in keys.values()) - 1
    rows = storefile.rows(store, _ROWS, (since_ms,), disk)
    bodies = ((tenant, msgspec.json.decode(body).get("received")) for tenant, body in rows)
    return {(received["document"], tenant) for tenant, received in bodies if received} & keys.keys()


def _follow(lines: dict[Key, tuple[int, bool]], key: Key, reported_ms: int, over: bool) -> None:
    if reported_ms >= lines.get(key, (reported_ms, False))[0]:
        lines[key] = (reported_ms, not over)


def concerns(to: settings.Bulletins, x: Named) -> bool:
    """Of one of the offices, and of a kind that is asked for."""
    return any(o in x.office for o in to.offices) and (not to.titles or x.title.startswith(to.titles))


class Reader:
    """`waiting` are rows for the writer, who tells by `settle` which of them stand in the store."""

    def __init__(
        self,
        to: settings.Bulletins,
        was: Known,
        now_ms: Callable[[], int],
        beat: Callable[[str, float], None] = lambda _loop, _s: None,
        backoff_s: Sequence[float] = BACKOFF_S,
    ) -> None:
        self._to, self._now_ms, self._beat, self._backoff_s = to, now_ms, beat, backoff_s
        self._fetcher = Fetcher(to.timeout_s)
        self._tenants = sorted(set(to.areas.values()))
        self._areas = {t: {name for name, owner in to.areas.items() if owner == t} for t in self._tenants}
        self._lock = threading.Lock()
        self._read, self._lines = dict(was.read), dict(was.lines)
        self._wanted: dict[str, Named] = {}
        self._tries: Counter[str] = Counter()
        self._fates: Counter[str] = Counter(dict.fromkeys(FATES, 0))
        self._held: dict[Key, Entry] = {}
        self._marks: dict[str, tuple[str, str]] = {}  # of a feed that was read: its ETag and Last-Modified
        self._updated: dict[str, int] = {}
        self._regained = False
        self._failures = 0
        self._stop = threading.Event()
        self.standing = Standing()
        self._thread = threading.Thread(target=self._run, name="bulletins", daemon=True)

    @property
    def failing(self) -> str | None:
        return self.standing.reason

    @property
    def fates(self) -> Mapping[str, int]:
        """What became of documents since the start."""
        return self.standing.fates

    def start(self) -> None:
        if self._thread.ident is None:
            log.info("bulletins are read from %s", describe(self._to))
            self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(self._to.timeout_s + 1.0)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._beat("bulletins", self._to.timeout_s + ROUND_S)
            try:
                rest_s = self.round()
            except (*BROKEN, OSError) as e:  # a mistake of ours in what is only shown must not end a bridge that alarms
                log.exception("a round of reading bulletins failed")
                rest_s = self._complain(f"{type(e).__name__}: see the log", None)
            self._beat("bulletins", rest_s + ROUND_S)
            self._stop.wait(rest_s)

    # --- for the writer ----------------------------------------------------------------------------------------------

    def waiting(self) -> dict[Key, Entry]:
        with self._lock:
            return dict(self._held)

    def settle(self, there: set[Key]) -> None:
        """These stand in the store."""
        with self._lock:
            for key in there:
                self._held.pop(key, None)

    def read(self) -> dict[str, int]:
        """Documents that need not be fetched again: nothing of them waits, and the feed may still name them."""
        with self._lock:
            held = {document for document, _ in self._held}
            oldest_ms = self._now_ms() - OLD_MS
            return {x: at for x, at in self._read.items() if x not in held and at > oldest_ms}

    # --- a round -----------------------------------------------------------------------------------------------------

    def round(self) -> float:
        """Read the feed and what is new in it; how long to rest then, seconds."""
        now_ms = self._now_ms()
        heard_ms = self.standing.heard_ms
        gap = not self._regained or heard_ms is None or now_ms - heard_ms > GAP_MS
        for url in [self._to.catch_up] * bool(gap and self._to.catch_up) + [self._to.feed]:
            got, updated_ms = self._feed(url, now_ms)
            if got is not None:
                return self._complain(got.reason, got.wait_s)
        self._regained = True
        failed = self._documents(now_ms)
        if now_ms - updated_ms > self._to.silent_after_s * 1000:
            return self._complain(f"the feed says nothing newer than {iso(updated_ms)}", None, updated_ms)
        if self._failures:
            log.info("bulletins are received again")
        self._failures = 0
        fates = dict(self._fates)
        self.standing = Standing(now_ms, None, None, updated_ms, fates)
        return self._rest_s() if failed is None else max(self._backoff_s[0], failed)

    def _rest_s(self) -> float:
        """Until the feed of the next minute is written."""
        every_ms = round(self._to.every_s * 1000)
        if every_ms < 60_000:
            return self._to.every_s
        return (every_ms - (self._now_ms() - AFTER_MS) % every_ms) / 1000

    def _feed(self, url: str, now_ms: int) -> tuple[Got | None, int]:
        """(None, when it was written), or the answer that was none."""
        etag, modified = self._marks.get(url, ("", ""))
        asked = {"If-None-Match": etag, "If-Modified-Since": modified}
        got = self._fetcher.get(url, bulletin.MAX_FEED, {k: v for k, v in asked.items() if v})
        if got.status == 304 and url in self._updated:
            return None, self._updated[url]
        if got.status != 200:
            return got, 0
        try:
            found = bulletin.feed(got.body)
        except BadBulletin as e:
            return replace(got, reason=f"the feed cannot be read: {e}"), 0
        for x in found.entries:
            if concerns(self._to, x) and x.updated_ms > now_ms - OLD_MS and x.url not in self._read:
                self._wanted.setdefault(x.url, x)
        self._marks[url] = got.etag, got.modified
        self._updated[url] = found.updated_ms
        return None, found.updated_ms

    def _documents(self, now_ms: int) -> float | None:
        """Fetch what is wanted, the oldest first. None where nothing of it is left, else how long to wait at least."""
        for x in sorted(self._wanted.values(), key=lambda x: (x.updated_ms, x.url))[:AT_ONCE]:
            if self._stop.is_set():
                return 0.0
            self._beat("bulletins", self._to.timeout_s + ROUND_S)
            url = urljoin(self._to.feed, x.url)
            if _origin(url) != _origin(self._to.feed):
                self._done(x, "unfetched", self._told(x, "本文が配信元以外にあるため取得しません"), now_ms)
                continue
            got = self._fetcher.get(url, bulletin.MAX_DOCUMENT)
            if got.status == 200:
                self._take(x, got.body, now_ms)
                continue
            self._tries[x.url] += 1
            gone = got.status in (404, 410) and self._tries[x.url] >= TRIES
            if gone or now_ms - x.updated_ms > OLD_MS:
                self._done(x, "unfetched", self._told(x, "本文を取得できません"), now_ms)
                continue
            log.warning("a bulletin of %s cannot be fetched (%s); it is tried again", x.office, got.reason)
            return got.wait_s or 0.0
        return 0.0 if self._wanted else None

    def _take(self, x: Named, body: bytes, now_ms: int) -> None:
        try:
            found = bulletin.document(body)
        except BadBulletin as e:
            log.warning("a bulletin of %s cannot be read: %s", x.office, e)
            self._done(x, "unreadable", self._told(x, "内容を読み取れません"), now_ms)
            return
        if found.status == "test":
            self._done(x, "test", [], now_ms)
            return
        rows = [row for t in self._tenants if (row := self._row(x, found, t, now_ms)) is not None]
        self._done(x, "shown" if rows else "elsewhere", rows, now_ms)

    def _row(self, x: Named, found: Bulletin, tenant: str, now_ms: int) -> Entry | None:
        """None where it does not concern this tenant."""
        said = bulletin.said(found, self._areas[tenant])
        key = (bulletin.line(found, x.url), tenant)
        reported_ms, held = self._lines.get(key, (0, False))
        news = held and found.reported_ms > reported_ms and (said is not None or bulletin.states(found))
        if bulletin.nothing(said) and not news:
            return None
        over = bulletin.over(found, said)
        _follow(self._lines, key, found.reported_ms, over)
        return _entry(x, found, said, tenant, now_ms)

    def _told(self, x: Named, why: str) -> list[Entry]:
        """Of what nobody could read: that there is something, for everybody who might be meant."""
        text = f"{x.title}　{why}。気象庁の発表を確認してください"
        received = {
            "document": x.url, "updated_ms": x.updated_ms, "reported_ms": x.updated_ms, "line": x.url, "over": False,
        }  # fmt: skip
        body: dict[str, object] = {"what": "bulletin", "text": text, "received": received}
        at_ms = min(x.updated_ms, self._now_ms())
        return [Entry(at_ms, Kind.BULLETIN, tenant, by=x.office, body=body) for tenant in self._tenants]

    def _done(self, x: Named, fate: str, rows: Sequence[Entry], now_ms: int) -> None:
        self._fates[fate] += 1
        with self._lock:
            self._wanted.pop(x.url, None)
            self._tries.pop(x.url, None)
            self._read[x.url] = x.updated_ms
            self._held |= {(x.url, row.tenant): row for row in rows}
            for old in [url for url, at in self._read.items() if at <= now_ms - OLD_MS]:
                del self._read[old]

    def _complain(self, reason: str, wait_s: float | None, updated_ms: int | None = None) -> float:
        if self._failures == 0 and not self._stop.is_set():
            log.warning("bulletins cannot be read from %s (%s)", self._to.feed, reason)
        rest_s = self._backoff_s[min(self._failures, len(self._backoff_s) - 1)]
        self._failures += 1
        was = self.standing
        since_ms = was.since_ms or self._now_ms()
        self.standing = Standing(was.heard_ms, since_ms, reason[:100], updated_ms or was.updated_ms, dict(self._fates))
        return max(rest_s, wait_s or 0.0)


def _entry(x: Named, found: Bulletin, said: Said | None, tenant: str, now_ms: int) -> Entry:
    short = bulletin.sentence(found, said)
    body: dict[str, object] = {
        "what": "bulletin",
        "text": f"{short}　{found.headline}"[: 2 * bulletin.LONGEST].strip(),
        "received": {
            "document": x.url, "updated_ms": x.updated_ms, "reported_ms": found.reported_ms,
            "line": bulletin.line(found, x.url), "over": bulletin.over(found, said), "short": short,
            "headline": found.headline, "title": found.title, "head": found.head, "info": found.info,
            "event": found.event, "serial": found.serial,
            "areas": list(said.areas) if said else [], "kinds": list(said.kinds) if said else [],
        },
    }  # fmt: skip
    if found.status == "drill":
        body["drill"] = True
    # One from the future would stand above everything for as long.
    return Entry(min(found.reported_ms, now_ms), Kind.BULLETIN, tenant, by=found.office, body=body)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname, parts.port
    except ValueError:
        return "", None, None


def reader(
    bridge: settings.Bridge,
    now_ms: Callable[[], int],
    disk: Disk = DISK,
    beat: Callable[[str, float], None] = lambda _loop, _s: None,
) -> Reader | None:
    """None where no feed is configured. Raises Unavailable."""
    if bridge.bulletins is None:
        return None
    return Reader(bridge.bulletins, known(bridge.store, now_ms(), disk), now_ms, beat)


def describe(to: settings.Bulletins) -> str:
    """For the log."""
    return f"{to.feed}, every {units.in_words(to.every_s)}"

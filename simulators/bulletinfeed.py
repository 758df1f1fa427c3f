"""A feed of bulletins for tests, in the Meteorological Agency's format: an Atom feed, the long one, and documents, over
HTTP with ETag, Last-Modified and gzip. What it issues is invented. `suimon sim bulletins --port 8089`.

Issue: `POST /issue {"kinds": ["レベル３氾濫警報"], "areas": ["高松市"], "title": …, "event": …, "info": "発表", …}`.
Faults: `POST /faults {"mode": "503"}`; the modes are MODES.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from xml.sax.saxutils import escape, quoteattr

# well; another status; what comes is no XML; nothing comes; it is the same for ever; its documents are not there; they
# are no XML; they stand on another server
MODES = ("", "403", "503", "broken", "hang", "drop", "missing", "garbled", "elsewhere")
OFFICE = "高松地方気象台"
JST = timezone(timedelta(hours=9))
FRESH_S = 600.0  # how long an entry stays in the short feed


@dataclass(frozen=True, slots=True)
class Issued:
    """One bulletin. `body`: what a warning's body says of each area, as (areas, (name, state) of each kind)."""

    kinds: tuple[str, ...]
    areas: tuple[str, ...]
    title: str = "指定河川洪水予報"
    head: str = ""
    office: str = OFFICE
    status: str = "通常"
    info: str = "発表"
    event: str = ""
    serial: str = ""
    headline: str = ""
    at_ms: int = 0
    body: tuple[tuple[tuple[str, ...], tuple[tuple[str, str], ...]], ...] = ()


@dataclass(slots=True)
class Asked:
    """What was asked for, and by what status it was answered."""

    path: str
    status: int
    headers: dict[str, str] = field(default_factory=dict)


class BulletinFeed:
    """A real server on loopback. `issued` by the number in a document's name, `asked` every request in order."""

    modes = MODES[1:]
    office = OFFICE

    def __init__(self, port: int = 0, now_ms: Callable[[], int] = lambda: round(time.time() * 1000)) -> None:
        self._now_ms = now_ms
        self.issued: list[Issued] = []
        self.asked: list[Asked] = []
        self.mode, self.updated_ms = "", now_ms()
        self.retry_after = ""
        self.lock = threading.Lock()
        self.freed = threading.Event()
        self._port = port
        self._server: ThreadingHTTPServer | None = None
        self.start()

    def start(self) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                outer.answer(self)

            def do_POST(self) -> None:
                outer.told(self)

            def log_message(self, *_: object) -> None:
                pass

        self.freed.clear()
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads, self._server.block_on_close = True, False
        self._port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Nobody listens there any more; what was issued stays."""
        self.freed.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def issue(self, *kinds: str, areas: tuple[str, ...] = ("高松市",), at_ms: int | None = None, **more: Any) -> str:
        """The path of its document."""
        at_ms = self._now_ms() if at_ms is None else at_ms
        with self.lock:
            self.issued.append(Issued(kinds, areas, at_ms=at_ms, **more))
            self.updated_ms = max(self.updated_ms, at_ms, self._now_ms())
            return self._path(len(self.issued))

    def documents(self) -> list[str]:
        """Paths of documents that were asked for, in order."""
        return [x.path for x in self.asked if x.path.startswith("/data/")]

    # --- answers -----------------------------------------------------------------------------------------------------

    def told(self, request: BaseHTTPRequestHandler) -> None:
        text = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        try:
            said = json.loads(text or b"{}")
            if request.path == "/faults":
                if said.get("mode", "") not in MODES:
                    raise ValueError("modes are " + ", ".join(MODES[1:]))
                self.mode, self.retry_after = said.get("mode", ""), str(said.get("retry_after", ""))
                answer = self.mode or "well"
            else:
                kinds, areas = tuple(said.pop("kinds", ())), tuple(said.pop("areas", ("高松市",)))
                answer = self.issue(*kinds, areas=areas, **said)
        except (ValueError, TypeError) as e:
            _send(request, 400, f"{e}\n".encode())
            return
        _send(request, 200, f"{answer}\n".encode())

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        mode, feed = self.mode, request.path in ("/extra.xml", "/extra_l.xml")
        status, body, headers = 200, b"", dict[str, str]()
        if mode == "hang":
            self.freed.wait(60)
        if mode in ("hang", "drop"):
            request.close_connection = True
            return
        if mode in ("403", "503"):
            status, headers = int(mode), {"Retry-After": self.retry_after} if self.retry_after else {}
        elif feed:
            status, body, headers = self._feed(request)
        else:
            status, body = self._document(request.path)
        self.asked.append(Asked(request.path, status, dict(request.headers)))
        if body and "gzip" in request.headers.get("Accept-Encoding", ""):
            body, headers = gzip.compress(body), {**headers, "Content-Encoding": "gzip"}
        _send(request, status, body, headers)

    def _feed(self, request: BaseHTTPRequestHandler) -> tuple[int, bytes, dict[str, str]]:
        if self.mode == "broken":
            return 200, b"<html><body>maintenance", {}
        oldest_ms = 0 if request.path == "/extra_l.xml" else self._now_ms() - FRESH_S * 1000
        with self.lock:
            entries = [(n, x) for n, x in enumerate(self.issued, 1) if x.at_ms > oldest_ms]
            body = self._atom(entries).encode()
        marks = {
            "ETag": f'"{hashlib.sha256(body).hexdigest()[:16]}"',
            "Last-Modified": formatdate(self.updated_ms / 1000, usegmt=True),
        }
        if request.headers.get("If-None-Match") == marks["ETag"]:
            return 304, b"", marks
        return 200, body, marks

    def _document(self, path: str) -> tuple[int, bytes]:
        number = path.removeprefix("/data/").partition("_")[0]
        if self.mode == "missing" or not number.isdigit() or not 0 < int(number) <= len(self.issued):
            return 404, b"not found"
        if self.mode == "garbled":
            return 200, b"<Report><Control>"
        return 200, document(self.issued[int(number) - 1]).encode()

    def _path(self, number: int) -> str:
        return f"/data/{number}_VXKO.xml"

    def _atom(self, entries: list[tuple[int, Issued]]) -> str:
        home = "http://127.0.0.1:1" if self.mode == "elsewhere" else self.url
        said = "".join(
            f"<entry><title>{escape(x.title)}</title><id>{home}{self._path(n)}</id><updated>{_utc(x.at_ms)}</updated>"
            f"<author><name>{escape(x.office)}</name></author>"
            f'<link type="application/xml" href={quoteattr(home + self._path(n))}/>'
            f'<content type="text">{escape(x.headline)}</content></entry>'
            for n, x in reversed(entries)
        )
        return (
            '<?xml version="1.0" encoding="utf-8"?><feed xmlns="http://www.w3.org/2005/Atom" lang="ja">'
            "<title>高頻度（随時）</title><subtitle>invented</subtitle>"
            f"<updated>{_jst(self.updated_ms)}</updated><id>urn:simulated</id>{said}</feed>"
        )


def document(x: Issued) -> str:
    """As the agency's format has it, in its namespaces."""
    head = x.head or (f"{x.areas[0]}の{x.title}" if x.areas else x.title)
    areas = "".join(f"<Area><Name>{escape(a)}</Name><Code>{_code(a)}</Code></Area>" for a in x.areas)
    kinds = "".join(f"<Kind><Name>{escape(k)}</Name><Code>00</Code></Kind>" for k in x.kinds)
    item = f'<Item>{kinds}<Areas codeType="x">{areas}</Areas></Item>' if x.areas else ""
    warned = "".join(_warning(names, said) for names, said in x.body)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<Report xmlns="http://xml.kishou.go.jp/jmaxml1/" xmlns:jmx="http://xml.kishou.go.jp/jmaxml1/"><Control>'
        f"<Title>{escape(x.title)}</Title><DateTime>{_utc(x.at_ms)}</DateTime><Status>{x.status}</Status>"
        f"<EditorialOffice>{OFFICE}</EditorialOffice><PublishingOffice>{escape(x.office)}</PublishingOffice></Control>"
        '<Head xmlns="http://xml.kishou.go.jp/jmaxml1/informationBasis1/">'
        f"<Title>{escape(head)}</Title><ReportDateTime>{_jst(x.at_ms)}</ReportDateTime>"
        f"<TargetDateTime>{_jst(x.at_ms)}</TargetDateTime><EventID>{escape(x.event)}</EventID>"
        f"<InfoType>{escape(x.info)}</InfoType><Serial>{escape(x.serial)}</Serial><InfoKind>{escape(x.title)}</InfoKind>"
        f"<InfoKindVersion>1.0_0</InfoKindVersion><Headline><Text>{escape(x.headline)}</Text>"
        f'<Information type="{escape(x.title)}（市町村等）">{item}</Information></Headline></Head>'
        f'<Body xmlns="http://xml.kishou.go.jp/jmaxml1/body/meteorology1/">{warned}</Body></Report>'
    )


def _warning(names: tuple[str, ...], said: tuple[tuple[str, str], ...]) -> str:
    kinds = "".join(
        f"<Kind>{f'<Name>{escape(name)}</Name>' if name else ''}<Status>{escape(state)}</Status></Kind>"
        for name, state in said
    )
    items = "".join(f"<Item>{kinds}<Area><Name>{escape(n)}</Name><Code>{_code(n)}</Code></Area></Item>" for n in names)
    return f'<Warning type="気象警報・注意報（市町村等）">{items}</Warning>'


def _code(name: str) -> str:
    """Invented, the same for the same name."""
    return f"{int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) % 10_000_000:07d}"


def _utc(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _jst(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, JST):%Y-%m-%dT%H:%M:%S}+09:00"


def _send(request: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
    request.send_response(status)
    for name, value in (headers or {}).items():
        request.send_header(name, value)
    if status != 304:
        request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    if status != 304:
        request.wfile.write(body)

"""A context broker of NGSIv2 for tests: takes batches, shows entities, and refuses what FIWARE Orion refuses, with its
words. Written from Orion's manual; no subscriptions. `suimon sim contextbroker --port 1026`.

Faults: `POST /faults {"mode": "503", "refuse": ["urn:…"], "retry_after": 2}`; the modes are MODES.
`{"mode": "", "carry_out": true}` does what came in the mode `late`.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Mapping
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

MAX_BODY = 1_048_576
FORBIDDEN = re.compile(r"[<>\"'=;()]")
NAME = re.compile(r"[!-~]{1,256}")
NOT_IN_NAMES = re.compile(r"[<>\"'=;()&?/#]")
ACTIONS = ("append", "appendStrict", "update", "replace", "delete")
# well; another status; the batch is done and the answer is lost; nothing is done and the connection ends; the answer is
# lost, and the batch is done when somebody says so
MODES = ("", "401", "403", "404", "408", "429", "500", "503", "swallow", "drop", "late")

Place = tuple[str, str, str]  # service, service path, entity
Done = tuple[Place, str, str | None, Any]  # place, attribute, its TimeInstant, its value


class Refused(Exception):
    """An answer other than success: its status, and Orion's name and words."""

    def __init__(self, status: int, error: str, words: str) -> None:
        super().__init__(words)
        self.status, self.body = status, {"error": error, "description": words}


def bad(words: str) -> Refused:
    return Refused(400, "BadRequest", words)


class ContextBroker:
    """A real server on loopback. `entities` is what it has, `done` every attribute that was ever written, in order."""

    modes = MODES[1:]

    def __init__(self, port: int = 0) -> None:
        self.entities: dict[Place, dict[str, Any]] = {}
        self.done: list[Done] = []
        self.batches: list[int] = []  # entities in each that was taken
        self.tokens: list[str | None] = []
        self.mode, self.refuse, self.retry_after = "", set[str](), ""
        self.max_body = MAX_BODY
        self.late: list[tuple[Mapping[str, str], bytes]] = []
        self.lock = threading.Lock()
        self._port = port
        self._server: ThreadingHTTPServer | None = None
        self.start()

    def start(self) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def do_GET(self) -> None:
                _serve(outer, self)

            def do_POST(self) -> None:
                _serve(outer, self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads, self._server.block_on_close = True, False
        self._port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Nobody listens there any more; what it has stays."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    @property
    def listens(self) -> bool:
        """Else it answers on no connection, not even on one that was open."""
        return self._server is not None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def clear(self) -> None:
        """As new, on the same port."""
        with self.lock:
            self.entities, self.done, self.batches, self.tokens = {}, [], [], []
            self.mode, self.refuse, self.retry_after, self.max_body = "", set(), "", MAX_BODY
            self.late = []

    # --- what it does ------------------------------------------------------------------------------------------

    def post(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Any]:
        if path != "/v2/op/update":
            raise Refused(404, "NotFound", "service not found")
        where = scope(headers)
        if len(body) > self.max_body:
            words = f"payload size: {len(body)}, max size supported: {self.max_body}"
            raise Refused(413, "RequestEntityTooLarge", words)
        if headers.get("Content-Type", "").partition(";")[0].strip() != "application/json":
            raise Refused(415, "UnsupportedMediaType", "not supported content type: use application/json")
        try:
            asked = json.loads(body, parse_constant=_no_constant)
        except ValueError:
            raise Refused(400, "ParseError", "Errors found in incoming JSON buffer") from None
        if not isinstance(asked, dict) or asked.get("actionType") not in ACTIONS:
            raise bad("invalid update action type")
        entities = asked.get("entities")
        if not isinstance(entities, list) or not entities:
            raise bad("empty entities vector")
        for found in entities:
            check(found)
        for found in entities:
            if found["id"] in self.refuse:
                raise Refused(422, "Unprocessable", f"refused on demand: {found['id']}")
        for found in entities:
            if asked["actionType"] == "delete":
                self._remove((*where, found["id"]), found)
            else:
                self._take((*where, found["id"]), found)
        self.batches.append(len(entities))
        return 204, None

    def carry_out(self) -> None:
        """What came in the mode `late`, in its order."""
        with self.lock:
            late, self.late = self.late, []
            for headers, body in late:
                with contextlib.suppress(Refused):
                    self.post("/v2/op/update", headers, body)

    def _remove(self, place: Place, found: dict[str, Any]) -> None:
        """The attributes that are named, or all of it."""
        names = found.keys() - {"id", "type"}
        there = self.entities.get(place)
        if there is None or not names <= there.keys():
            raise Refused(404, "NotFound", "The requested entity has not been found. Check type and id")
        for name in names:
            del there[name]
        if not names:
            del self.entities[place]

    def _take(self, place: Place, found: dict[str, Any]) -> None:
        own = self.entities.setdefault(place, {"id": found["id"], "type": found.get("type", "Thing")})
        for name, body in found.items():
            if name not in ("id", "type"):
                metadata = body.get("metadata", {})
                own[name] = {"type": body.get("type", "Text"), "value": body.get("value"), "metadata": metadata}
                self.done.append((place, name, metadata.get("TimeInstant", {}).get("value"), body.get("value")))

    def get(self, path: str, query: Mapping[str, list[str]], headers: Mapping[str, str]) -> tuple[int, Any]:
        service, service_path = scope(headers)
        here = {i: e for (s, p, i), e in self.entities.items() if s == service and p == service_path}
        attrs = query.get("attrs", [""])[0].split(",") if "attrs" in query else None
        if path.startswith("/v2/entities/"):
            name = unquote(path.removeprefix("/v2/entities/"))
            if name not in here:
                raise Refused(404, "NotFound", "The requested entity has not been found. Check type and id")
            return 200, _only(here[name], attrs)
        if path != "/v2/entities":
            raise Refused(404, "NotFound", "service not found")
        ids = query["id"][0].split(",") if "id" in query else sorted(here)
        limit, offset = int(query.get("limit", ["20"])[0]), int(query.get("offset", ["0"])[0])
        if not 1 <= limit <= 1000:
            raise bad(f"Bad pagination limit: /{limit}/ [max: 1000]")
        found = [here[i] for i in ids if i in here and ("type" not in query or here[i]["type"] in query["type"][0])]
        return 200, [_only(x, attrs) for x in found[offset : offset + limit]]


def _no_constant(word: str) -> None:
    raise ValueError(word)


def _only(found: dict[str, Any], attrs: list[str] | None) -> dict[str, Any]:
    return {k: v for k, v in found.items() if attrs is None or k in ("id", "type", *attrs)}


def scope(headers: Mapping[str, str]) -> tuple[str, str]:
    """(service, service path) of a request. Raises Refused."""
    service, path = headers.get("Fiware-Service") or "", headers.get("Fiware-ServicePath") or "/"
    if len(service) > 50:
        raise bad("bad length - a tenant name must be between 1 and 50 characters long")
    if not re.fullmatch(r"[a-z0-9_]*", service):
        raise bad("bad character in tenant name - only underscore and alphanumeric characters are allowed")
    if not path.startswith("/"):
        raise bad("Only /absolute/ Service Paths allowed [a service path must begin with /]")
    parts = path[1:].split("/") if path != "/" else []
    if len(parts) > 10:
        raise bad("too many components in ServicePath")
    for part in parts:
        if not 1 <= len(part) <= 50:
            raise bad("component-name too long in ServicePath" if part else "empty component in ServicePath")
        if not re.fullmatch(r"[A-Za-z0-9_]+", part):
            raise bad("a component of ServicePath contains an illegal character")
    return service, path


def check(found: Any) -> None:
    """An entity of a batch. Raises Refused."""
    if not isinstance(found, dict) or "id" not in found:
        raise bad("entity id not specified" if isinstance(found, dict) else "not a JSON object")
    _name(found["id"], "entity id")
    _name(found.get("type", "Thing"), "entity type")
    for name, body in found.items():
        if name in ("id", "type"):
            continue
        _name(name, "attribute name")
        if not isinstance(body, dict) or set(body) - {"type", "value", "metadata"}:
            raise bad("attribute must be a JSON object with type, value and metadata")
        _typed(body, "attribute")
        for of, about in body.get("metadata", {}).items():
            _name(of, "metadata name")
            _typed(about, "metadata")


def _typed(body: dict[str, Any], whose: str) -> None:
    kind = body.get("type", "Text")
    _name(kind, f"{whose} type")
    value = body.get("value")
    _clean(value, whose)
    if kind == "DateTime" and value is not None and not _dated(value):
        raise bad(f"date has invalid format: {value}")
    if kind == "geo:json" and (not isinstance(value, dict) or value.get("type") != "Point"):
        raise bad("geometry type not supported by this broker")


def _dated(value: Any) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        return False


def _name(text: Any, whose: str) -> None:
    if not isinstance(text, str):
        raise bad(f"Invalid JSON type for {whose}")
    if not text or len(text) > 256:
        raise bad(f"{whose} length: {len(text)}, min length supported: 1, max length supported: 256")
    if not NAME.fullmatch(text) or NOT_IN_NAMES.search(text):
        raise bad(f"Invalid characters in {whose}")


def _clean(value: Any, whose: str) -> None:
    if isinstance(value, str) and FORBIDDEN.search(value):
        raise bad(f"Invalid characters in {whose} value")
    if isinstance(value, dict):
        for key, inner in value.items():
            _clean(key, whose)
            _clean(inner, whose)
    elif isinstance(value, list):
        for inner in value:
            _clean(inner, whose)


# --- HTTP ------------------------------------------------------------------------------------------------------------


def _serve(broker: ContextBroker, h: BaseHTTPRequestHandler) -> None:
    body = h.rfile.read(int(h.headers.get("Content-Length") or 0))
    address = urlsplit(h.path)
    with broker.lock:
        if address.path == "/faults":
            _faults(broker, json.loads(body or b"{}"))
            return _reply(h, 204, None)
        if broker.mode == "drop" or not broker.listens:
            h.close_connection = True
            return None
        if broker.mode.isdigit():
            words = {"error": "OnDemand", "description": f"answers {broker.mode} on demand"}
            return _reply(h, int(broker.mode), words, broker.retry_after)
        broker.tokens.append(h.headers.get("X-Auth-Token"))
        headers = {name.title().replace("Servicepath", "ServicePath"): value for name, value in h.headers.items()}
        if broker.mode == "late" and h.command == "POST":
            broker.late.append((headers, body))
            h.close_connection = True
            return None
        try:
            if h.command == "POST":
                status, answer = broker.post(address.path, headers, body)
            else:
                status, answer = broker.get(address.path, parse_qs(address.query), headers)
        except Refused as e:
            status, answer = e.status, e.body
        if broker.mode == "swallow":
            h.close_connection = True
            return None
    return _reply(h, status, answer)


def _faults(broker: ContextBroker, asked: dict[str, Any]) -> None:
    """With the lock held, so `carry_out` is a thread of its own."""
    if asked.get("mode", "") in MODES:
        broker.mode = asked.get("mode", "")
    broker.refuse, broker.retry_after = set(asked.get("refuse", [])), str(asked.get("retry_after", ""))
    if asked.get("carry_out"):
        threading.Thread(target=broker.carry_out, daemon=True).start()


def _reply(h: BaseHTTPRequestHandler, status: int, answer: Any, retry_after: str = "") -> None:
    text = b"" if answer is None else json.dumps(answer, ensure_ascii=False).encode()
    with contextlib.suppress(OSError):  # the client did not wait
        h.send_response(status)
        if retry_after:
            h.send_header("Retry-After", retry_after)
        if status != 204:
            h.send_header("Content-Type", "application/json")
            h.send_header("Content-Length", str(len(text)))
        h.end_headers()
        h.wfile.write(text)
        h.wfile.flush()

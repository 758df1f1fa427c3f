"""Pushes the latest values of every station to an NGSIv2 context broker, in a thread of its own.

The broker mirrors the present: what waits is no queue but the difference between the board and what the broker is known
to have. That is learned by asking it: at the start, after every batch that failed, because it may have been done, and
now and then, because somebody may have deleted something there or put an older database in its place. Each answer is
accepted, to be halved, or kept.
"""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from gateway import boardfile, ngsi, settings, units
from gateway.bridge.delivery import BROKEN
from gateway.disk import DISK, Disk
from gateway.errors import Unavailable
from gateway.ngsi import Attribute, Entity
from gateway.stations import Registry

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

log = logging.getLogger(__name__)

BACKOFF_S = (1.0, 2.0, 5.0, 15.0, 30.0, 60.0)
ASKED = 50  # entities in one question: the whole address stays below 8 kB
MAX_ANSWER = 16_000_000  # bytes
ROUND_S = 60.0  # besides the time-out: a round that takes longer hangs
ASK_ROUNDS = 360  # after so many rounds it is asked for everything: at the usual pace once an hour
STRANGE = "its answer is not that of a context broker"
DOUBTED = 2  # rounds that ask again after a request without an answer: it may be done late


class Fate(Enum):
    ACCEPTED = "accepted"
    HALVE = "halve"  # some entity of it is refused, or it is too large
    KEEP = "keep"  # not now


@dataclass(frozen=True, slots=True)
class Answer:
    """`silent`: none came. `body`: what was asked for."""

    fate: Fate
    reason: str = ""
    wait_s: float | None = None
    silent: bool = False
    body: bytes = b""


def classify(status: int, body: bytes, retry_after: str | None) -> Answer:
    """What an HTTP answer means. `retry_after` is its header, in seconds."""
    reason = f"{status} {' '.join(body.decode('utf-8', 'replace').split())[:300]}".strip()
    if 200 <= status < 300:
        return Answer(Fate.ACCEPTED, body=body)
    if status in (400, 413, 422):
        return Answer(Fate.HALVE, reason)
    try:
        wait_s = float(retry_after or "nan")
    except ValueError:
        wait_s = math.nan
    return Answer(Fate.KEEP, reason, min(3600.0, max(0.0, wait_s)) if math.isfinite(wait_s) else None)


def service_of(to: settings.Orion, tenant: str) -> str:
    """Empty: the broker's own default."""
    return to.services.get(tenant, to.service)


class Client:
    """Speaks to the broker; never raises for an answer or a missing one."""

    def __init__(self, to: settings.Orion) -> None:
        import urllib3

        self._errors = (urllib3.exceptions.HTTPError, OSError, UnicodeError, ValueError)
        self._http = urllib3.PoolManager(maxsize=1, retries=False, timeout=urllib3.Timeout(total=to.timeout_s))
        self._to, self._url = to, to.url.rstrip("/")

    def update(self, tenant: str, entities: Sequence[Mapping[str, Any]]) -> Answer:
        body = {"actionType": "append", "entities": entities}
        text = json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
        answer = self._request("POST", "/v2/op/update", tenant, text)
        if answer.fate is Fate.ACCEPTED and answer.body.strip():  # it says nothing; a portal shows a page with 200
            return Answer(Fate.KEEP, STRANGE)
        return answer

    def ask(self, tenant: str, ids: Iterable[str]) -> Answer:
        """Those of the entities that the broker has."""
        found = quote(",".join(ids), safe=",:")
        return self._request("GET", f"/v2/entities?id={found}&limit={ASKED}", tenant)

    def _request(self, method: str, path: str, tenant: str, body: bytes | None = None) -> Answer:
        headers = {"Fiware-ServicePath": self._to.service_path, "Accept": "application/json"}
        if service := service_of(self._to, tenant):
            headers["Fiware-Service"] = service
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self._to.token is not None:
            bearer = self._to.token_header.lower() == "authorization"
            headers[self._to.token_header] = f"Bearer {self._to.token}" if bearer else self._to.token
        try:
            r = self._http.request(
                method, self._url + path, body=body, headers=headers, redirect=False, preload_content=False
            )
            text = self._read(r)
        except self._errors as e:
            return Answer(Fate.KEEP, f"no answer ({type(e).__name__})", silent=True)
        if text is None:
            return Answer(Fate.KEEP, "an answer without an end", silent=True)
        return classify(r.status, text, r.headers.get("Retry-After"))

    def _read(self, r: BaseHTTPResponse) -> bytes | None:
        """The body; None where it is too long, or comes drop by drop: each read alone stays within the time-out."""
        text, end_s = bytearray(), time.monotonic() + self._to.timeout_s
        while chunk := r.read1(65_536):
            text += chunk
            if len(text) > MAX_ANSWER or time.monotonic() > end_s:
                r.close()
                return None
        r.release_conn()
        return bytes(text)


class Pusher:
    """`look` gives every station as it is now and raises Unavailable; it is asked before each round, so that what could
    not be sent is never sent later than what came after it."""

    def __init__(
        self,
        to: settings.Orion,
        look: Callable[[], list[Entity]],
        beat: Callable[[str, float], None] = lambda _loop, _s: None,
        backoff_s: Sequence[float] = BACKOFF_S,
    ) -> None:
        self._to, self._look, self._beat, self._backoff_s = to, look, beat, backoff_s
        self._client = Client(to)
        self._has: dict[str, dict[str, Attribute]] = {}  # what the broker is known to have, by entity
        self._doubts: dict[str, int] = {}  # rounds that ask again, by tenant
        self._refused: dict[str, dict[str, Attribute]] = {}  # what of an entity was refused last
        self._told: set[str] = set()  # of which the log has said so
        self._stop = threading.Event()
        self._failures = self._rounds = 0
        self.failing: str | None = None  # why entities wait now
        self.waiting = 0  # entities that lack something at the broker and are not refused
        self.rejected = 0  # refusals since the start
        self._thread = threading.Thread(target=self._run, name="orion", daemon=True)

    def start(self) -> None:
        if self._thread.ident is None:
            log.info("latest values go to %s", describe(self._to))
            self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(self._to.timeout_s + 1.0)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                wait_s = self.round()
            except (*BROKEN, OSError) as e:  # a mistake of ours in a mirror must not end a bridge that alarms
                log.exception("a round to the context broker failed")
                wait_s = self._complain(Answer(Fate.KEEP, f"{type(e).__name__}: see the log"))
            self._beat("orion", wait_s + ROUND_S)
            self._stop.wait(wait_s)

    def round(self) -> float:
        """Bring the broker to the present as far as it lets us; how long to rest then, seconds."""
        kept: Answer | None = None
        waiting = 0
        self._rounds += 1
        try:
            found = self._by_tenant(self._look())
        except Unavailable as e:
            return self._complain(Answer(Fate.KEEP, str(e)))
        for tenant, entities in found.items():
            answer = None if kept is not None and kept.silent else self._serve(tenant, entities)
            kept = answer or kept
            waiting += sum(1 for x in entities if self._lacking(x))
        self.waiting = waiting
        if kept is not None:
            return self._complain(kept)
        if self._failures:
            log.info("the context broker at %s takes values again", self._to.url)
        self._failures, self.failing = 0, None
        return self._to.every_s

    def _by_tenant(self, entities: Iterable[Entity]) -> dict[str, list[Entity]]:
        """Those that have a service there. What is no longer configured is forgotten; the broker keeps it."""
        found: dict[str, list[Entity]] = {}
        for x in entities:
            if not self._to.services or service_of(self._to, x.tenant):
                found.setdefault(x.tenant, []).append(x)
        ids = {x.id for some in found.values() for x in some}
        for gone in (self._has.keys() | self._refused.keys()) - ids:
            self._has.pop(gone, None)
            self._refused.pop(gone, None)
        self._told &= ids
        return found

    def _serve(self, tenant: str, entities: list[Entity]) -> Answer | None:
        """None where everything is there or refused, else why not."""
        doubted = self._doubts.get(tenant, 0) or int(self._rounds % ASK_ROUNDS == 0)
        answer = self._learn(tenant, entities if doubted else [x for x in entities if x.id not in self._has])
        if answer is None and doubted:
            self._doubts[tenant] = doubted - 1
        if answer is None:
            waiting = [x for x in entities if self._lacking(x)]
            for begin in range(0, len(waiting), self._to.batch):
                answer = self._deliver(tenant, waiting[begin : begin + self._to.batch])
                if answer is not None or self._stop.is_set():
                    break
        if answer is not None:  # also a server that failed may have done it
            self._doubts[tenant] = DOUBTED
        return answer

    def _learn(self, tenant: str, entities: list[Entity]) -> Answer | None:
        """What the broker has of them, from itself."""
        for begin in range(0, len(entities), ASKED):
            asked = [x.id for x in entities[begin : begin + ASKED]]
            self._beat("orion", self._to.timeout_s + ROUND_S)
            answer = self._client.ask(tenant, asked)
            if answer.fate is not Fate.ACCEPTED:
                return Answer(Fate.KEEP, answer.reason, answer.wait_s, answer.silent)
            try:
                told = {x["id"]: ngsi.said(x) for x in json.loads(answer.body)}
            except (ValueError, TypeError, KeyError, AttributeError):
                return Answer(Fate.KEEP, STRANGE)
            self._has |= {name: told.get(name, {}) for name in asked}
            if self._stop.is_set():
                return Answer(Fate.KEEP, "stopped")
        return None

    def _lacking(self, x: Entity) -> dict[str, Attribute]:
        """What is to be sent of it: nothing where just that was refused."""
        found = ngsi.lacking(x, self._has.get(x.id, {}))
        return found if found != self._refused.get(x.id) else {}

    def _deliver(self, tenant: str, entities: list[Entity]) -> Answer | None:
        """Everything accepted or refused alone: None. Else why what is left is kept."""
        parts = [entities]
        while parts and not self._stop.is_set():
            part = parts.pop()
            sent = {x.id: self._lacking(x) for x in part}
            self._beat("orion", self._to.timeout_s + ROUND_S)
            answer = self._client.update(tenant, [ngsi.written(x, sent[x.id]) for x in part])
            if answer.fate is Fate.KEEP:
                return answer
            if answer.fate is Fate.ACCEPTED:
                for name, attributes in sent.items():
                    self._has.setdefault(name, {}).update(attributes)
                    self._refused.pop(name, None)
                    self._told.discard(name)
            elif len(part) > 1:
                middle = len(part) // 2
                parts += [part[middle:], part[:middle]]
            else:
                self._refuse(part[0].id, sent[part[0].id], answer)
        return None

    def _refuse(self, name: str, attributes: dict[str, Attribute], answer: Answer) -> None:
        self._refused[name] = attributes
        self.rejected += 1
        if name not in self._told:
            log.warning("the context broker refuses %s (%s); it is tried again when it is another", name, answer.reason)
            self._told.add(name)

    def _complain(self, answer: Answer) -> float:
        if self._failures == 0 and not self._stop.is_set():
            log.warning("the context broker at %s does not take values (%s)", self._to.url, answer.reason)
        rest_s = self._backoff_s[min(self._failures, len(self._backoff_s) - 1)]
        self._failures += 1
        self.failing = answer.reason[:100]
        return rest_s if answer.wait_s is None else max(rest_s, answer.wait_s)


def pusher(
    bridge: settings.Bridge,
    registry: Callable[[], Registry],
    now_ms: Callable[[], int],
    disk: Disk = DISK,
    beat: Callable[[str, float], None] = lambda _loop, _s: None,
) -> Pusher | None:
    """For a bridge and the registry in force; None where it has no context broker."""

    def look() -> list[Entity]:
        board = boardfile.read(bridge.store, registry(), now_ms(), disk)
        return [ngsi.entity(row, board.latest, board.now_ms) for row in board.rows]

    return Pusher(bridge.orion, look, beat) if bridge.orion is not None else None


def describe(to: settings.Orion) -> str:
    """For the log, without secrets."""
    return f"the context broker at {to.url}, every {units.in_words(to.every_s)}"

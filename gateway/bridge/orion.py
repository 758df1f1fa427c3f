"""Keeps an NGSIv2 context broker at the present: the latest values of every station, in a thread of its own.

The broker mirrors the present: what waits is no queue but the difference between the board and what the broker is known
to have. That is learned by asking it: at the start, for ten minutes after every batch that failed, because it may have
been done, or be done late, and now and then, because somebody may have deleted something there or put an older database
in its place. What is ours there and no longer configured is deleted.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from gateway import boardfile, ngsi, settings, units
from gateway.bridge.delivery import BROKEN
from gateway.bridge.ngsiclient import ASKED, STRANGE, Action, Answer, Client, Fate, service_of
from gateway.disk import DISK, Disk
from gateway.errors import Unavailable
from gateway.ngsi import Attribute, Entity
from gateway.orionstanding import Standing
from gateway.stations import Registry

log = logging.getLogger(__name__)

BACKOFF_S = (1.0, 2.0, 5.0, 15.0, 30.0, 60.0)
ROUND_S = 60.0  # besides the time-out: a round that takes longer hangs
ASK_ROUNDS = 360  # after so many rounds it is asked for everything: at the usual pace once an hour
# After a request that failed it is asked again at the next rounds, and when so many seconds have passed: what got no
# answer may be done late, and then an older value stands over the one that was sent since.
AGAIN_S = (0.0, 0.0, 30.0, 120.0, 600.0)
SHOWN = 20  # entities that are refused, by name
WHOLE = frozenset({"id", "type"})  # of an entity that is deleted without naming attributes
Made = Mapping[str, Mapping[str, str]]  # tenant -> entity -> its type


class Pusher:
    """`look` gives every station as it is now and raises Unavailable; it is asked before each round, so that what could
    not be sent is never sent later than what came after it. `made`: what stands there by us, as it was known last."""

    def __init__(
        self,
        to: settings.Orion,
        look: Callable[[], list[Entity]],
        beat: Callable[[str, float], None] = lambda _loop, _s: None,
        backoff_s: Sequence[float] = BACKOFF_S,
        made: Made | None = None,
        now_ms: Callable[[], int] = lambda: round(time.time() * 1000),
        steady_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._to, self._look, self._beat, self._backoff_s = to, look, beat, backoff_s
        self._now_ms, self._steady_s = now_ms, steady_s
        self._client = Client(to)
        self._has: dict[str, dict[str, Attribute]] = {}  # what the broker is known to have, by entity
        self._doubts: dict[str, list[float]] = {}  # when it is asked again, by tenant
        self._refused: dict[str, dict[str, Attribute]] = {}  # what of an entity was refused last
        self._stays: set[tuple[str, frozenset[str]]] = set()  # what it would not delete
        self._told: dict[str, str] = {}  # of which the log has said so, and why
        self._stop = threading.Event()
        self._failures = self._rounds = 0
        self._rejected: Counter[int] = Counter()
        self.made: Made = made or {}  # replaced, never changed: another thread keeps it
        self.standing = Standing()
        self._thread = threading.Thread(target=self._run, name="orion", daemon=True)

    @property
    def failing(self) -> str | None:
        """Why entities wait now."""
        return self.standing.reason

    @property
    def waiting(self) -> int:
        """Entities that lack something at the broker and are not refused."""
        return self.standing.waiting

    @property
    def rejected(self) -> Mapping[int, int]:
        """Refusals since the start, by status."""
        return dict(self.standing.refused)

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
        if kept is not None:
            return self._complain(kept, waiting)
        if self._failures:
            log.info("the context broker at %s takes values again", self._to.url)
        self._failures = 0
        self._stand(waiting, None)
        return self._to.every_s

    def _by_tenant(self, entities: Iterable[Entity]) -> dict[str, list[Entity]]:
        """Those that have a service there; also tenants of which it may have something that is no longer configured."""
        found: dict[str, list[Entity]] = {t: [] for t in self.made if self._served(t)}
        for x in entities:
            if self._served(x.tenant):
                found.setdefault(x.tenant, []).append(x)
        ids = {x.id for some in found.values() for x in some}
        for gone in (self._has.keys() | self._refused.keys() | self._told.keys()) - ids:
            self._has.pop(gone, None)
            self._refused.pop(gone, None)
            self._told.pop(gone, None)
        return found

    def _served(self, tenant: str) -> bool:
        return not self._to.services or bool(service_of(self._to, tenant))

    def _serve(self, tenant: str, entities: list[Entity]) -> Answer | None:
        """None where everything is there or refused, else why not."""
        doubts, now_s = self._doubts.get(tenant, []), self._steady_s()
        doubted = bool(doubts) and doubts[0] <= now_s
        every = doubted or self._rounds % ASK_ROUNDS == 0
        answer = self._learn(tenant, entities if every else [x for x in entities if x.id not in self._has])
        if answer is None and doubted:
            doubts.pop(0)
        answer = answer or self._append(tenant, entities) or self._clear(tenant, entities)
        if answer is not None:  # also a server that failed may have done it
            self._doubts[tenant] = [self._steady_s() + s for s in AGAIN_S]
        return answer

    def _learn(self, tenant: str, entities: list[Entity]) -> Answer | None:
        """What the broker has of them, from itself."""
        kinds = {x.id: x.type for x in entities}
        told: dict[str, dict[str, Attribute]] = {}
        answer = self._asked(tenant, list(kinds), told)
        self._has |= told
        self._note(tenant, {name: kinds[name] for name, has in told.items() if has})
        return answer

    def _asked(self, tenant: str, ids: list[str], told: dict[str, dict[str, Attribute]]) -> Answer | None:
        """Into `told`: of each what it has, nothing of those that it lacks."""
        for begin in range(0, len(ids), ASKED):
            asked = ids[begin : begin + ASKED]
            self._beat("orion", self._to.timeout_s + ROUND_S)
            answer = self._heard(self._client.ask(tenant, asked))
            if answer.fate is not Fate.ACCEPTED:
                return Answer(Fate.KEEP, answer.reason, answer.wait_s, answer.silent)
            try:
                there = {x["id"]: ngsi.said(x) for x in json.loads(answer.body)}
            except (ValueError, TypeError, KeyError, AttributeError):
                return Answer(Fate.KEEP, STRANGE)
            told |= {name: there.get(name, {}) for name in asked}
            if self._stop.is_set():
                return Answer(Fate.KEEP, "stopped")
        return None

    def _lacking(self, x: Entity) -> dict[str, Attribute]:
        """What is to be sent of it: nothing where just that was refused."""
        found = ngsi.lacking(x, self._has.get(x.id, {}))
        return found if found != self._refused.get(x.id) else {}

    def _append(self, tenant: str, entities: list[Entity]) -> Answer | None:
        sent = {x.id: attributes for x in entities if (attributes := self._lacking(x))}
        bodies = [ngsi.written(x, sent[x.id]) for x in entities if x.id in sent]

        def done(part: list[ngsi.Body]) -> None:
            for body in part:
                self._has.setdefault(body["id"], {}).update(sent[body["id"]])
                self._refused.pop(body["id"], None)
                self._told.pop(body["id"], None)
            self._note(tenant, {body["id"]: body["type"] for body in part})

        def refused(body: ngsi.Body, answer: Answer) -> None:
            self._refused[body["id"]] = sent[body["id"]]
            self._refuse(body["id"], answer)

        return self._deliver(tenant, bodies, "append", done, refused)

    def _clear(self, tenant: str, entities: list[Entity]) -> Answer | None:
        """What is ours there and no longer configured: channels, or whole stations."""
        bodies = [ngsi.unwritten(x, names) for x in entities if (names := ngsi.surplus(x, self._has.get(x.id, {})))]
        ids = {x.id for x in entities}
        made = self.made.get(tenant, {})
        gone = {n: kind for n, kind in made.items() if n not in ids and (n, WHOLE) not in self._stays}
        told: dict[str, dict[str, Attribute]] = {}
        if answer := self._asked(tenant, list(gone), told):
            return answer
        self._note(tenant, {}, {name for name, has in told.items() if not has})
        bodies += [{"id": name, "type": gone[name]} for name, has in told.items() if has]
        bodies = [x for x in bodies if (x["id"], frozenset(x)) not in self._stays]

        def done(part: list[ngsi.Body]) -> None:
            for body in part:
                for name in body:
                    self._has.get(body["id"], {}).pop(name, None)
            self._note(tenant, {}, {body["id"] for body in part if body["id"] in gone})
            names = ", ".join(body["id"] for body in part)[:300]
            log.info("the context broker no longer has what is no longer configured of %s", names)

        def refused(body: ngsi.Body, answer: Answer) -> None:
            self._stays.add((body["id"], frozenset(body)))
            self._has.pop(body["id"], None)  # it is asked what it has
            if answer.status != 404:
                self._refuse(body["id"], answer)

        return self._deliver(tenant, bodies, "delete", done, refused)

    def _note(self, tenant: str, there: Mapping[str, str], gone: Iterable[str] = ()) -> None:
        known = self.made.get(tenant, {})
        found = {name: kind for name, kind in {**known, **there}.items() if name not in set(gone)}
        if found != known:
            self.made = {**self.made, tenant: found}

    def _deliver(
        self,
        tenant: str,
        bodies: list[ngsi.Body],
        action: Action,
        done: Callable[[list[ngsi.Body]], None],
        refused: Callable[[ngsi.Body, Answer], None],
    ) -> Answer | None:
        """Everything accepted or refused alone: None. Else why what is left is kept."""
        size = self._to.batch
        parts = [bodies[begin : begin + size] for begin in range(0, len(bodies), size)][::-1]
        while parts and not self._stop.is_set():
            part = parts.pop()
            self._beat("orion", self._to.timeout_s + ROUND_S)
            answer = self._heard(self._client.update(tenant, part, action))
            gone = action == "delete" and answer.status == 404  # somebody else was quicker
            if answer.fate is Fate.KEEP and not gone:
                return answer
            if answer.fate is Fate.ACCEPTED:
                done(part)
            elif len(part) > 1:
                middle = len(part) // 2
                parts += [part[middle:], part[:middle]]
            else:
                refused(part[0], answer)
        return None

    def _heard(self, answer: Answer) -> Answer:
        if not answer.silent:
            self.standing = replace(self.standing, answer_ms=self._now_ms())
        return answer

    def _refuse(self, name: str, answer: Answer) -> None:
        self._rejected[answer.status] += 1
        if name not in self._told:
            log.warning("the context broker refuses %s (%s); it is tried again when it is another", name, answer.reason)
        self._told[name] = answer.reason[:100]

    def _stand(self, waiting: int, reason: str | None) -> None:
        since_ms = None if reason is None else self.standing.since_ms or self._now_ms()
        refused, refuses = tuple(sorted(self._rejected.items())), tuple(self._told.items())[:SHOWN]
        self.standing = Standing(waiting, since_ms, reason, self.standing.answer_ms, refused, refuses)

    def _complain(self, answer: Answer, waiting: int | None = None) -> float:
        if self._failures == 0 and not self._stop.is_set():
            log.warning("the context broker at %s does not take values (%s)", self._to.url, answer.reason)
        rest_s = self._backoff_s[min(self._failures, len(self._backoff_s) - 1)]
        self._failures += 1
        self._stand(self.standing.waiting if waiting is None else waiting, answer.reason[:100])
        return rest_s if answer.wait_s is None else max(rest_s, answer.wait_s)


def pusher(
    bridge: settings.Bridge,
    registry: Callable[[], Registry],
    now_ms: Callable[[], int],
    disk: Disk = DISK,
    beat: Callable[[str, float], None] = lambda _loop, _s: None,
    made: Made | None = None,
) -> Pusher | None:
    """For a bridge and the registry in force; None where it has no context broker."""

    def look() -> list[Entity]:
        board = boardfile.read(bridge.store, registry(), now_ms(), disk)
        return [ngsi.entity(row, board.latest, board.now_ms) for row in board.rows]

    return Pusher(bridge.orion, look, beat, made=made, now_ms=now_ms) if bridge.orion is not None else None


def describe(to: settings.Orion) -> str:
    """For the log, without secrets."""
    return f"the context broker at {to.url}, every {units.in_words(to.every_s)}"

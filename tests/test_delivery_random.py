"""Deliverer against a medium that answers anything, over restarts and recorded or lost outcomes: every message ends as
sent or given up with a reason, in one process none is sent twice, and none is forgotten."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import storefile
from gateway.bridge.delivery import AT_ONCE, STICK, WAITED_MS, Deliverer, Row
from gateway.bridge.handing import Handing
from gateway.bridge.media import Refused, Unreached
from gateway.bridge.notify import Outcome, Owed, delayed
from gateway.bridge.store import Store
from gateway.errors import MediumReason
from tests import world
from tests.world import T0


def _bug() -> None:
    raise KeyError("a mistake of ours, or of a package")


def _refused() -> None:
    raise Refused(MediumReason.REFUSED_ADDRESS, "no")


def _away() -> None:
    raise Unreached(MediumReason.UNREACHABLE, "no")


def _torn() -> None:
    raise ConnectionResetError("no")


ANSWERS: dict[str, Callable[[], None]] = {
    "taken": lambda: None,
    "refused": _refused,
    "away": _away,
    "torn": _torn,
    "bug": _bug,
}


class Fickle:
    """Answers as it is told, then takes everything."""

    def __init__(self, answers: list[str]) -> None:
        self._answers, self.taken = iter(answers), list[str]()

    def send(self, key: str, body: str) -> None:
        ANSWERS[next(self._answers, "taken")]()
        self.taken.append(key)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.booleans(), min_size=1, max_size=6),
    st.lists(st.lists(st.sampled_from(sorted(ANSWERS)), max_size=8), min_size=1, max_size=3),
    st.booleans(),
)
def test_every_message_has_its_fate(rings: list[bool], lives: list[list[str]], recorded: bool) -> None:
    """Whatever the medium answers, and however often the process is killed before its outcomes are recorded."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        store = Store(path)
        bridge = world.bridge(path)
        memory = store.load()
        work = world.work(memory, bridge)
        for n, ring in enumerate(rings):
            body = json.dumps({"rings": ring, "rank": 3, "from_rank": 0})
            work.owed.append(Owed(f"{n}/duty", "webhook", "duty", body, T0))
        store.commit(work)
        reasons, taken = dict[str, str](), Counter[str]()
        for life, answers in enumerate([*lives, []]):
            outcomes, medium = list[Outcome](), Fickle(answers)
            d = Deliverer(
                "duty", medium, path, outcomes.append, lambda: T0, (0.0,), handing=Handing.beside(path), via="post"
            )
            for _ in range(200):
                if not (rows := d._owed()):
                    break
                d._send(rows)
            taken += Counter(medium.taken)
            assert max(Counter(medium.taken).values(), default=0) <= 1
            ended = [x.key for x in outcomes if x.state != "retry"]
            assert len(ended) == len(set(ended))
            if recorded or life == len(lives):
                work = world.work(memory, bridge)
                work.report(outcomes)
                store.commit(work)
                reasons |= {x.key: x.reason or "" for x in outcomes if x.state == "given_up"}
        rows = storefile.rows(path, "SELECT key, state, reason, again FROM outbox")
        store.close()
    assert len(rows) == len(rings)
    for key, state, reason, again in rows:
        if state == "sent":
            assert again == taken[key] - 1
        assert state in ("sent", "given_up")
        if state == "given_up":
            assert reason == reasons[key]
            assert reason.partition(":")[0] in {r.value for r in MediumReason}


def test_one_that_is_never_taken_keeps_nobody_waiting_for_long(tmp_path: Path) -> None:
    """Its turn goes to others after a few tries: a message alone may be what a medium cannot take."""
    rows = [Row(1, "poison", T0, urgent=True), Row(2, "quiet", T0, urgent=False)]
    d = Deliverer("duty", Fickle([]), tmp_path / "no.db", lambda _: None, lambda: T0)
    tried = []
    for _ in range(2 * STICK + 1):
        row = d._next(rows)
        d._attempts[row.id] = d._attempts.get(row.id, 0) + 1
        tried.append(row.key)
    assert tried == ["poison"] * STICK + ["quiet"] * STICK + ["poison"]


def test_what_rings_is_seen_behind_a_long_queue(tmp_path: Path) -> None:
    """A medium that was away for a day has more waiting for it than is looked at; what rings now goes first."""
    path = tmp_path / "store.db"
    store = Store(path)
    bridge = world.bridge(path)
    work = world.work(store.load(), bridge)
    bodies = [json.dumps({"rings": n == AT_ONCE + 50, "n": n}) for n in range(AT_ONCE + 100)]
    work.owed += [Owed(f"{n}/duty", "webhook", "duty", body, T0) for n, body in enumerate(bodies)]
    store.commit(work)
    d = Deliverer("duty", Fickle([]), path, lambda _: None, lambda: T0)
    rows = d._owed()
    assert [row.key for row in rows] == [f"{n}/duty" for n in (*range(AT_ONCE), AT_ONCE + 50)]
    assert d._next(rows).key == f"{AT_ONCE + 50}/duty"
    body = d._body(rows[-1])
    assert body is not None
    assert json.loads(body)["n"] == AT_ONCE + 50
    assert d._body(Row(10**6, "gone", T0, urgent=True)) is None
    store.close()


class Slow:
    """Takes everything; while it takes the first, something is owed that rings."""

    def __init__(self) -> None:
        self.taken = list[str]()
        self.meanwhile: Callable[[], None] = lambda: None

    def send(self, key: str, body: str) -> None:
        self.taken.append(key)
        then, self.meanwhile = self.meanwhile, lambda: None
        then()


def test_a_medium_that_is_back_gets_first_what_rings(tmp_path: Path) -> None:
    """It was away, and much waits for it: what rings goes first, also what comes to be owed while it takes the rest."""
    path = tmp_path / "store.db"
    store = Store(path)
    bridge = world.bridge(path)

    def owe(*rows: tuple[str, bool]) -> None:
        work = world.work(store.load(), bridge)
        work.owed += [Owed(f"{n}/duty", "webhook", "duty", json.dumps({"rings": rings}), T0) for n, rings in rows]
        store.commit(work)

    owe(("old", False), ("older-danger", True), ("quiet", False), ("danger", True))
    medium = Slow()
    d = Deliverer("duty", medium, path, lambda _: None, lambda: T0 + WAITED_MS)

    def flood() -> None:
        owe(("now", True))
        d.wake()

    medium.meanwhile = flood
    while rows := d._owed():
        d._wake.clear()
        d._send(rows)
    assert medium.taken == [f"{n}/duty" for n in ("danger", "now", "older-danger", "old", "quiet")]
    store.close()


def test_what_is_taken_at_once_goes_in_order(tmp_path: Path) -> None:
    """Nothing waits: a fall that is told quietly stays behind the rise that rang."""
    rows = [Row(1, "rise", T0, urgent=True), Row(2, "fall", T0, urgent=False), Row(3, "rise again", T0, urgent=True)]
    d = Deliverer("duty", Fickle([]), tmp_path / "no.db", lambda _: None, lambda: T0 + WAITED_MS - 1)
    assert d._in_turn(rows) == rows


def test_what_comes_long_after_it_was_owed_says_so() -> None:
    """In subject and first line, in both languages, and a drill is still marked at both ends."""
    body = {
        "subject": {"ja": "【訓練】春日橋【訓練】", "en": "[DRILL] Kasuga [DRILL]"},
        "text": {"ja": "【訓練】春日橋：超過\n水位\n終わり【訓練】", "en": "[DRILL] Kasuga\nLevel\nend [DRILL]"},
        "drill": True,
    }
    said = json.loads(delayed(json.dumps(body), 75))
    assert said["subject"]["ja"] == "【訓練】春日橋（1時間15分遅れて届いた通報です）【訓練】"
    assert said["subject"]["en"] == "[DRILL] Kasuga (delivered 1 h 15 min late) [DRILL]"
    assert said["text"]["ja"] == "【訓練】春日橋：超過（1時間15分遅れて届いた通報です）\n水位\n終わり【訓練】"

"""The ledger: rules 1 to 5 of the wire contract's receipts."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import wire
from gateway.bridge.ledger import REJECTED, STORED, DeviceLedger
from gateway.errors import GoneReason, RejectCode
from gateway.ranges import Range
from gateway.wire import ReceiptLog, Span, Statement, StatementLog

STORE = "s1"
Gone = list[tuple[int, int, str]]


def statement(opening: str, *logs: tuple[str, int, int] | tuple[str, int, int, Gone]) -> Statement:
    """Of an opening: (log, oldest, next) each. The opening's own log is added, empty, where it is not named."""
    listed = [StatementLog(*entry) for entry in logs]
    if not any(entry.log == opening for entry in listed):
        listed.append(StatementLog(opening, 1, 1))
    return Statement(opening, listed)


def stored(ledger: DeviceLedger, log: str, *numbers: int) -> None:
    for n in numbers:
        ledger.log(log).settle(n, STORED)


def named(ledger: DeviceLedger, log: str) -> ReceiptLog:
    """What the receipt says of a log."""
    receipt = ledger.receipt(STORE)
    assert receipt is not None
    (entry,) = [entry for entry in receipt.logs if entry.log == log]
    return entry


def settled(ledger: DeviceLedger, log: str) -> list[Range]:
    return list(ledger.logs[log].settled)


def gone(ledger: DeviceLedger, log: str) -> dict[str, list[Range]]:
    kinds = ledger.logs[log].kinds
    return {kind: list(ranges) for kind, ranges in kinds.items() if kind not in (STORED, REJECTED) and ranges}


# --- rule 1: settled ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "numbers", "through", "above"),
    [
        ("nothing", [], 0, []),
        ("from the beginning", [1, 2, 3], 3, []),
        ("in any order", [3, 1, 2], 3, []),
        ("the first is missing", [2, 3], 0, [(2, 3)]),
        ("one is missing", [1, 2, 4, 5, 9], 2, [(4, 5), (9, 9)]),
    ],
)
def test_through(what: str, numbers: list[int], through: int, above: list[Range]) -> None:
    """Everything up to `through` is settled; what is settled above it stands in ranges."""
    ledger = DeviceLedger()
    ledger.statement(statement("a", ("a", 1, 1)))
    stored(ledger, "a", *numbers)
    assert named(ledger, "a") == ReceiptLog("a", through, above), what


def test_the_receipt_is_bounded() -> None:
    """Above `through` stand at most 64 ranges, the newest of them, in rising order."""
    ledger = DeviceLedger()
    ledger.statement(statement("a"))
    stored(ledger, "a", 1, 2, *range(4, 204, 2))
    entry = named(ledger, "a")
    assert entry.through == 2
    assert entry.settled == [(n, n) for n in range(204 - 128, 204, 2)]
    assert len(entry.settled) == wire.RECEIPT_RANGES == 64


def test_stored_rejected_and_gone_are_settled() -> None:
    """Three ways of being settled make one unbroken run; the rejected ones are named with their code."""
    ledger = DeviceLedger()
    ledger.statement(statement("a", ("a", 3, 7)))  # 1 and 2 are gone
    stored(ledger, "a", 3, 5)
    ledger.reject("a", 4, RejectCode.TIME_FUTURE)
    assert named(ledger, "a") == ReceiptLog("a", 5, [], [(4, 4, "time_future")])


def test_rejected_are_named_in_runs() -> None:
    """Neighbours of one code are named together; only the newest runs are, for they are for people."""
    ledger = DeviceLedger()
    ledger.statement(statement("a"))
    for n in (1, 2, 3):
        ledger.reject("a", n, RejectCode.TIME_FUTURE)
    ledger.reject("a", 4, RejectCode.WRONG_TYPE)
    assert named(ledger, "a").rejected == [(1, 3, "time_future"), (4, 4, "wrong_type")]
    for n in range(10, 60, 2):
        ledger.reject("a", n, RejectCode.WRONG_UNIT)
    assert named(ledger, "a").rejected == [(n, n, "wrong_unit") for n in range(28, 60, 2)]
    assert named(ledger, "a").through == 4  # and all of them are settled


def test_no_receipt_before_a_statement() -> None:
    """Before the first statement no opening is known, and a receipt could settle nothing."""
    ledger = DeviceLedger()
    stored(ledger, "a", 1)
    assert ledger.receipt(STORE) is None


def test_a_receipt_names_store_and_opening() -> None:
    """Only a receipt of the present opening and store is believed, so both stand in it."""
    ledger = DeviceLedger()
    ledger.statement(statement("a"))
    assert ledger.receipt("s7") == wire.Receipt("s7", "a", [ReceiptLog("a", 0)])


def test_unlisted_logs_leave_the_receipt() -> None:
    """A log that the device no longer lists is not named, and named again when it is listed again."""
    ledger = DeviceLedger()
    ledger.statement(statement("b", ("a", 1, 4)))
    stored(ledger, "a", 1, 2, 3)
    ledger.statement(statement("b"))
    receipt = ledger.receipt(STORE)
    assert receipt is not None
    assert [entry.log for entry in receipt.logs] == ["b"]
    ledger.statement(statement("b", ("a", 3, 4)))
    assert named(ledger, "a").through == 3


# --- rule 2: one settlement ------------------------------------------------------------------------------------------


def test_duplicates_are_known() -> None:
    """What was stored or rejected has arrived; what is gone or unheard of has not."""
    ledger = DeviceLedger()
    stored(ledger, "a", 5)
    ledger.reject("a", 6, RejectCode.WRONG_TYPE)
    ledger.statement(statement("a", ("a", 3, 7)))
    assert [n for n in range(1, 9) if ledger.arrived("a", n)] == [5, 6]
    assert not ledger.arrived("b", 5)


# --- rule 4: gone ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "said", "expected"),
    [
        ("the open log: below oldest, and no more", ("a", 4, 9), [(1, 3), (5, 5), (8, 8), (12, 12)]),
        ("a closed log: from `next` on too", ("x", 4, 9), [(1, 3), (5, 5), (8, 12)]),
        ("a closed log of which all is held", ("x", 1, 13), [(5, 5), (8, 8), (12, 12)]),
        ("an empty closed log", ("x", 13, 13), [(1, 12)]),
        ("an open log that was wholly reclaimed", ("a", 13, 13), [(1, 12)]),
    ],
)
def test_statement(what: str, said: tuple[str, int, int], expected: list[Range]) -> None:
    """Below `oldest`, and in a closed log from `next` on, what was not stored is gone: 5, 8 and 12 are stored."""
    ledger = DeviceLedger()
    log = said[0]
    stored(ledger, log, 5, 8, 12)
    ledger.statement(statement("a", said))
    assert settled(ledger, log) == expected, what
    assert [n for n in range(1, 14) if ledger.arrived(log, n)] == [5, 8, 12]
    assert set(gone(ledger, log)) <= {GoneReason.LOST_AT_KILL}


def test_a_log_no_longer_listed() -> None:
    """Of a log that is not listed any more all the rest is gone, up to the highest number ever known."""
    ledger = DeviceLedger()
    ledger.statement(statement("b", ("a", 1, 10)))
    stored(ledger, "a", 2, 3)
    assert gone(ledger, "a") == {}
    ledger.statement(statement("b"))
    assert gone(ledger, "a") == {GoneReason.LOST_AT_KILL: [(1, 1), (4, 9)]}


def test_live_samples_of_a_log_that_was_never_listed() -> None:
    """A device that was killed before its first statement: what arrived of that log is stored, the rest is gone."""
    ledger = DeviceLedger()
    stored(ledger, "a", 1, 4)
    ledger.statement(statement("b"))
    assert gone(ledger, "a") == {GoneReason.LOST_AT_KILL: [(2, 3)]}


def test_stated_reasons() -> None:
    """The device's reason is kept where it is one of the list; what is stored is not called gone; nothing beyond what
    the device ever had is."""
    ledger = DeviceLedger()
    stored(ledger, "a", 5)
    said: Gone = [(2, 6, "no_space"), (8, 8, "eaten by mice"), (9, 2**40, "damaged")]
    ledger.statement(statement("b", ("a", 1, 11, said)))
    assert gone(ledger, "a") == {
        GoneReason.NO_SPACE: [(2, 4), (6, 6)],
        GoneReason.LOST_AT_KILL: [(8, 8)],
        GoneReason.DAMAGED: [(9, 10)],
    }


def test_the_first_reason_stays() -> None:
    """A number is gone once: a later statement does not find another reason for it."""
    ledger = DeviceLedger()
    ledger.statement(statement("b", ("a", 1, 5, [(2, 2, "no_space")])))
    ledger.statement(statement("b", ("a", 4, 5)))
    assert gone(ledger, "a") == {GoneReason.NO_SPACE: [(2, 2)], GoneReason.LOST_AT_KILL: [(1, 1), (3, 3)]}


SPAN_CASES = [
    ("what the pack lacks is gone", Span(1, 6, STORE, "b"), {2, 3, 6}, {GoneReason.LOST_AT_KILL: [(1, 1), (4, 5)]}),
    ("nothing is lacking", Span(2, 3, STORE, "b"), {2, 3}, {}),
    ("numbers before the span are not spoken of", Span(5, 6, STORE, "b"), {6}, {GoneReason.LOST_AT_KILL: [(5, 5)]}),
    ("made for another store", Span(1, 6, "s0", "b"), {6}, {}),
    ("made for another opening", Span(1, 6, STORE, "a"), {6}, {}),
    ("made before any receipt", Span(1, 6, "", "b"), {6}, {}),
    ("it ends beyond its pack", Span(1, 2**62, STORE, "b"), {6}, {}),
    ("it is turned round", Span(6, 1, STORE, "b"), {6}, {}),
    ("it begins below 1", Span(0, 6, STORE, "b"), {6}, {}),
    ("the pack was empty", Span(1, 6, STORE, "b"), set(), {}),
]


@pytest.mark.parametrize(("what", "span", "seen", "expected"), SPAN_CASES, ids=[case[0] for case in SPAN_CASES])
def test_span(what: str, span: Span, seen: set[int], expected: dict[str, list[Range]]) -> None:
    """Numbers of a span that its pack lacks are gone, if it was made for this store and this opening."""
    ledger = DeviceLedger()
    ledger.statement(statement("b", ("a", 1, 20)))
    stored(ledger, "a", *seen)
    ledger.span("a", span, seen, STORE)
    assert gone(ledger, "a") == expected, what


def test_a_span_speaks_of_no_stored_number() -> None:
    """A number that arrived by the other session is stored, although the span's pack lacks it."""
    ledger = DeviceLedger()
    ledger.statement(statement("b", ("a", 1, 20)))
    stored(ledger, "a", 2, 4)
    ledger.span("a", Span(1, 4, STORE, "b"), {4}, STORE)
    assert gone(ledger, "a") == {GoneReason.LOST_AT_KILL: [(1, 1), (3, 3)]}
    assert ledger.arrived("a", 2)


def test_a_span_before_any_statement_is_not_believed() -> None:
    """The two sessions may overtake each other: no opening is known yet."""
    ledger = DeviceLedger()
    ledger.span("a", Span(1, 6, STORE, "b"), {6}, STORE)
    assert ledger.logs == {}


def test_a_new_opening_computes_afresh() -> None:
    """An old card image may hold again what was gone: a new opening forgets what was gone, and nothing that was
    stored or rejected."""
    ledger = DeviceLedger()
    ledger.statement(statement("b", ("a", 6, 10)))
    stored(ledger, "a", 6, 7)
    ledger.reject("a", 8, RejectCode.WRONG_TYPE)
    assert named(ledger, "a").through == 8
    ledger.statement(statement("c", ("a", 3, 10)))
    assert gone(ledger, "a") == {GoneReason.LOST_AT_KILL: [(1, 2)]}
    assert named(ledger, "a") == ReceiptLog("a", 2, [(6, 8)], [(8, 8, "wrong_type")])
    assert not ledger.arrived("a", 4)


def test_the_same_opening_keeps_what_is_gone() -> None:
    """A statement of the same opening adds to what is gone and takes nothing back."""
    ledger = DeviceLedger()
    for oldest in (3, 5, 5):
        ledger.statement(statement("a", ("a", oldest, 10)))
    assert gone(ledger, "a") == {GoneReason.LOST_AT_KILL: [(1, 4)]}


def test_a_copy_that_still_arrives_closes_the_gap() -> None:
    """A sample that had been declared gone and comes after all is stored, and no longer gone."""
    ledger = DeviceLedger()
    ledger.statement(statement("a", ("a", 5, 10)))
    assert not ledger.arrived("a", 3)
    stored(ledger, "a", 3)
    assert gone(ledger, "a") == {GoneReason.LOST_AT_KILL: [(1, 2), (4, 4)]}
    assert (ledger.arrived("a", 3), named(ledger, "a").through) == (True, 4)
    ledger.reject("a", 1, RejectCode.WRONG_TYPE)
    assert gone(ledger, "a") == {GoneReason.LOST_AT_KILL: [(2, 2), (4, 4)]}


# --- copies ----------------------------------------------------------------------------------------------------------


def snapshot(ledger: DeviceLedger) -> object:
    return (
        ledger.opening,
        {
            name: (
                {kind: list(ranges) for kind, ranges in entry.kinds.items()},
                list(entry.settled),
                list(entry.rejected),
                entry.top,
                entry.held,
                {kind: dict(ranges.changes) for kind, ranges in entry.kinds.items()},
            )
            for name, entry in ledger.logs.items()
        },
    )


LOGS = st.sampled_from(["a", "b", "c"])
NUMBERS = st.integers(1, 12)


@dataclass(frozen=True)
class Step:
    """One message's worth of work on a ledger."""

    what: str
    log: str
    n: int
    m: int
    opening: str


STEPS = st.lists(
    st.builds(Step, st.sampled_from(["store", "reject", "statement", "span"]), LOGS, NUMBERS, NUMBERS, LOGS),
    max_size=15,
)


def work(ledger: DeviceLedger, steps: list[Step]) -> None:
    for s in steps:
        a, b = sorted((s.n, s.m))
        match s.what:
            case "store" if not ledger.arrived(s.log, s.n):
                ledger.log(s.log).settle(s.n, STORED)
            case "reject" if not ledger.arrived(s.log, s.n):
                ledger.reject(s.log, s.n, RejectCode.WRONG_TYPE)
            case "statement":
                ledger.statement(statement(s.opening, (s.log, a, b, [(a, b, "no_space")])))
            case "span":
                ledger.span(s.log, Span(a, b, STORE, s.opening), {b}, STORE)


@given(STEPS, STEPS)
def test_what_was_committed_is_never_changed(before: list[Step], after: list[Step]) -> None:
    """A batch works on a copy: the committed ledger stays as it was, so that anyone may read it and a failed commit
    leaves no trace."""
    committed = DeviceLedger()
    work(committed, before)
    was, receipt = snapshot(committed), committed.receipt(STORE)
    copy = committed.copy()
    assert copy.changed == set()
    work(copy, after)
    assert snapshot(committed) == was
    assert committed.receipt(STORE) == receipt
    assert {n for n in copy.logs if copy.logs[n] is not committed.logs.get(n)} == copy.changed


@given(STEPS)
def test_kinds_are_disjoint(steps: list[Step]) -> None:
    """A number is settled in one way only, and settled is what the kinds are together."""
    ledger = DeviceLedger()
    work(ledger, steps)
    for entry in ledger.logs.values():
        numbers = [n for ranges in entry.kinds.values() for a, b in ranges for n in range(a, b + 1)]
        assert len(numbers) == len(set(numbers))
        assert set(numbers) == {n for a, b in entry.settled for n in range(a, b + 1)}
        assert max(numbers, default=0) <= max(entry.top, 12)


# --- against the rules' executable model -----------------------------------------------------------------------------
# The bridge's half of ../shared/design/receipts_model.py: plain sets, and everything that a statement makes gone is
# computed at the receipt. The device is honest: within an opening `oldest` and `next` only grow.


@dataclass
class Model:
    stored: set[tuple[str, int]] = field(default_factory=set)
    lost: set[tuple[str, int]] = field(default_factory=set)
    known: dict[str, int] = field(default_factory=dict)
    held: dict[str, tuple[int, int]] = field(default_factory=dict)
    opening: str | None = None

    def store(self, log: str, n: int) -> None:
        self.stored.add((log, n))
        self.known[log] = max(self.known.get(log, 0), n)

    def statement(self, opening: str, held: dict[str, tuple[int, int]]) -> None:
        if opening != self.opening:
            self.lost = set()
        self.opening, self.held = opening, dict(held)

    def span(self, log: str, first: int, pack: set[int], store: str, opening: str) -> None:
        if (store, opening) == (STORE, self.opening):
            self.lost |= {(log, n) for n in range(first, max(pack) + 1) if n not in pack}

    def settled(self, log: str) -> set[int]:
        oldest, next_ = self.held[log]
        top = max(self.known.get(log, 0), next_ - 1)
        out = {n for name, n in self.stored | self.lost if name == log} | set(range(1, min(top + 1, oldest)))
        return out | (set(range(next_, top + 1)) if log != self.opening else set())


@dataclass
class Device:
    """An honest card: logs with (oldest, next), the last number given in each, and which opening it is."""

    openings: int = 1
    numbers: dict[str, int] = field(default_factory=lambda: {"L1": 0})
    held: dict[str, tuple[int, int]] = field(default_factory=lambda: {"L1": (1, 1)})

    @property
    def opening(self) -> str:
        return f"L{self.openings}"


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(
            ["sample", "sample", "straggler", "commit", "statement", "backlog", "stale backlog", "reclaim", "reopen"]
        ),
        st.integers(0, 5),
        st.integers(0, 5),
    ),
    max_size=60,
)


@given(ACTIONS)
def test_agrees_with_the_model(actions: list[tuple[str, int, int]]) -> None:
    """Over any honest life of a device a receipt never names what the executable model of the rules does not call
    settled, and after the next statement it names exactly that."""
    ledger, model, device = DeviceLedger(), Model(), Device()
    for what, x, y in actions:
        _happen(ledger, model, device, what, x, y)
        if model.opening is not None:
            for name, got in _named(ledger).items():
                assert got <= model.settled(name), f"{name}: more than is settled"
    _state(ledger, model, device)
    assert _named(ledger) == {name: model.settled(name) for name in model.held}


def _happen(ledger: DeviceLedger, model: Model, device: Device, what: str, x: int, y: int) -> None:
    log = sorted(device.held)[x % len(device.held)]
    oldest, next_ = device.held[log]
    match what:
        case "sample":  # live, before its commit; some are dropped on the way
            device.numbers[device.opening] += 1
            if y:
                _arrive(ledger, model, device.opening, device.numbers[device.opening])
        case "straggler" if device.numbers[log]:  # of any log, whatever was said of it since
            _arrive(ledger, model, log, device.numbers[log])
        case "commit":
            device.held[device.opening] = (device.held[device.opening][0], device.numbers[device.opening] + 1)
        case "reclaim" if next_ > oldest:
            device.held[log] = (min(next_, oldest + x), next_)
        case "statement":
            _state(ledger, model, device)
        case "backlog" | "stale backlog" if next_ > oldest:
            last = min(oldest + y, next_ - 1)
            pack = {n for n in range(oldest, last + 1) if n == last or n % 3 != x % 3}
            for n in sorted(pack):
                _arrive(ledger, model, log, n)
            store = STORE if what == "backlog" else "s0"
            ledger.span(log, Span(oldest, last, store, device.opening), pack, STORE)
            model.span(log, oldest, pack, store, device.opening)
        case "reopen":  # a kill: what was not committed is lost, its numbers are never used again
            device.openings += 1
            device.held[device.opening] = (1, 1)
            device.numbers[device.opening] = 0


def _named(ledger: DeviceLedger) -> dict[str, set[int]]:
    """The numbers that the receipt names, by log."""
    receipt = ledger.receipt(STORE)
    assert receipt is not None
    return {
        entry.log: set(range(1, entry.through + 1)) | {n for a, b in entry.settled for n in range(a, b + 1)}
        for entry in receipt.logs
    }


def _state(ledger: DeviceLedger, model: Model, device: Device) -> None:
    ledger.statement(statement(device.opening, *[(name, *held) for name, held in device.held.items()]))
    model.statement(device.opening, device.held)


def _arrive(ledger: DeviceLedger, model: Model, log: str, n: int) -> None:
    if not ledger.arrived(log, n):
        ledger.log(log).settle(n, STORED)
    model.store(log, n)

"""What is missing, and why: the pure part by a table, its times from a real store."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from gateway import gapfile, gaps, storefile
from gateway.bridge.store import Store
from gateway.errors import GoneReason, RejectCode
from gateway.gaps import Gap, LogRow, Said
from gateway.ranges import Range, RangeSet
from tests import world
from tests.world import DEVICE, LOG, STATION, T0, TENANT

REGISTRY = world.registry()


def row(
    top: int, held: tuple[int, int] | None = None, codes: dict[int, str] | None = None, **kinds: list[Range]
) -> LogRow:
    return LogRow(1, TENANT, DEVICE, LOG, top, held, {k: RangeSet(v) for k, v in kinds.items()}, codes or {})


CASES: list[tuple[str, LogRow, list[tuple[str, str, int, int, int]]]] = [
    ("everything is stored", row(10, (11, 11), stored=[(1, 10)]), []),
    ("an empty log", row(0, (1, 1)), []),
    ("the device holds the middle", row(10, (1, 11), stored=[(1, 3), (8, 10)]), [("held", "held", 4, 7, 4)]),
    ("the device holds the end", row(10, (4, 11), stored=[(1, 3)]), [("held", "held", 4, 10, 7)]),
    (
        "newer than its statement",
        row(50, (1, 11), stored=[(1, 10), (50, 50)]),
        [("unknown", "unknown", 11, 49, 39)],
    ),
    ("never a statement", row(9, None, stored=[(9, 9)]), [("unknown", "unknown", 1, 8, 8)]),
    ("gone, with its reason", row(9, (10, 10), stored=[(5, 9)], no_space=[(1, 4)]), [("gone", "no_space", 1, 4, 4)]),
    (
        "two reasons side by side are two gaps",
        row(9, (10, 10), stored=[(9, 9)], no_space=[(1, 4)], lost_at_kill=[(5, 8)]),
        [("gone", "no_space", 1, 4, 4), ("gone", "lost_at_kill", 5, 8, 4)],
    ),
    (
        "thinned to one of eight is one gap",
        row(80, (81, 81), stored=[(n, n) for n in range(8, 81, 8)], no_space=[(n + 1, n + 7) for n in range(0, 80, 8)]),
        [("gone", "no_space", 1, 79, 70)],
    ),
    (
        "far from each other they are two",
        row(100, (1, 101), stored=[(2, 99)]),
        [("held", "held", 1, 1, 1), ("held", "held", 100, 100, 1)],
    ),
    (
        "rejected, by code, and one whose letter was dropped",
        row(9, (10, 10), {2: "wrong_unit", 3: "wrong_unit", 4: "time_future", 7: "undated"}, stored=[(1, 1), (6, 9)],
            rejected=[(2, 5)]),
        [("rejected", "wrong_unit", 2, 3, 2), ("rejected", "time_future", 4, 4, 1), ("rejected", "no_letter", 5, 5, 1)],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("says", "log", "expected"), CASES, ids=[c[0] for c in CASES])
def test_gaps_of_a_log(says: str, log: LogRow, expected: list[tuple[str, str, int, int, int]]) -> None:
    """Every number that is not stored has one cause."""
    found = gaps.of_log(log, REGISTRY, Said())
    assert [(g.kind, g.reason, g.first, g.last, g.samples) for g in found] == expected


@pytest.mark.parametrize(("says", "log", "expected"), CASES, ids=[c[0] for c in CASES])
def test_the_account_closes(says: str, log: LogRow, expected: object) -> None:
    """Numbers up to the highest known = stored + rejected + gone + held + unknown."""
    total = gaps.account([log])
    assert total.stored + total.rejected + total.gone + total.held + total.unknown == log.top


@pytest.mark.parametrize("reason", [*GoneReason, *RejectCode, gaps.NO_LETTER, "of_a_later_version"])
def test_every_reason_has_a_sentence(reason: str) -> None:
    """Also one that a later version wrote."""
    for kind in gaps.KINDS[:4]:
        assert len(gaps._sentence(kind, reason, Said())) > 10


def test_a_held_gap_says_how_long_the_device_can_go_on() -> None:
    """By its latest statement."""
    (gap,) = gaps.of_log(row(5, (1, 6), stored=[(1, 4)]), REGISTRY, Said(T0, 0.25, 51.5))
    assert gap.sentence == ("held by the device, will come as backlog; its spool is 25 % full, with room for 2 d 3 h")
    assert gap.stations == (STATION,)


def test_silence() -> None:
    """By the contract of the fastest channel (60 s, silent after 180 s); a device never heard from is silent too."""
    device = (TENANT, DEVICE)
    assert gaps.silent(REGISTRY, {device: T0}, T0 + 180_000) == []
    (gap,) = gaps.silent(REGISTRY, {device: T0}, T0 + 180_001)
    assert (gap.kind, gap.since_ms, gap.until_ms, gap.samples) == ("silent", T0, None, None)
    (gap,) = gaps.silent(REGISTRY, {}, T0)
    assert (gap.since_ms, gap.sentence) == (None, "never heard from")


CONCERNS = [
    ("everything", (None, None, None), True),
    ("its station", (STATION, None, None), True),
    ("another station", ("other", None, None), False),
    ("another device", (STATION, "other-01", None), False),
    ("it ended after", (None, None, T0), True),
    ("it ended before", (None, None, T0 + 1), False),
]


@pytest.mark.parametrize(("says", "asked", "expected"), CONCERNS, ids=[c[0] for c in CONCERNS])
def test_what_is_asked_for(says: str, asked: tuple[str | None, str | None, int | None], expected: bool) -> None:
    """One that lasts concerns every time."""
    gap = Gap(TENANT, DEVICE, (STATION,), "held", "held", "", since_ms=T0 - 9, until_ms=T0)
    assert gaps.concerns(gap, *asked) is expected
    assert gaps.concerns(gaps.replace(gap, until_ms=None), *asked[:2], T0 + 1) is (
        asked[:2] in ((None, None), (STATION, None))
    )


# --- times -------------------------------------------------------------------------------------------------------


def stored(path: Path, numbers: list[int], log: str = LOG, other: int = 0) -> None:
    """Samples with these numbers, one a minute; those of `other` seconds later are of the battery alone."""
    store = Store(path)
    work = world.work(store.load(), world.bridge(path))
    for n in numbers:
        channel = "battery_voltage" if n % 2 and other else "water_level"
        work.observations.append(world.observation(n, log=log, channel=channel, observed_ms=T0 + 60_000 * n))
        work.ledger((TENANT, DEVICE)).log(log).settle(n, "stored")
    store.commit(work)
    store.close()


def times(path: Path, seq: int, log_id: int = 1) -> int | None:
    """Minutes since T0 of a sample."""
    ledger = gapfile.read(path, REGISTRY)
    with contextlib.closing(storefile.connect(path)) as db:
        found = gapfile.Times(db).of(log_id, seq, ledger.channels[(TENANT, DEVICE)])
    return None if found is None else (found - T0) // 60_000


TIMES: list[tuple[str, list[int], int, int | None]] = [
    ("a mark itself", [*range(1, 200)], 65, 65),
    ("between two marks", [*range(1, 200)], 100, 100),
    ("beyond the last mark", [*range(1, 130)], 129, 129),
    ("before the first mark that is there", [*range(30, 70)], 30, 30),
    ("with a hole of many marks", [*range(1, 70), *range(1000, 1100)], 1000, 1000),
    ("at the near end of such a hole", [*range(1, 70), *range(1000, 1100)], 69, 69),
    ("one of eight", [*range(8, 4000, 8), *range(1, 4000, 64)], 1000, 1000),
    ("the nearest, where the row is gone", [*range(1, 60), *range(62, 80)], 61, 60 + 2),
    ("no mark at all", [10, 11], 10, None),
]


@pytest.mark.parametrize("other", [0, 1], ids=["one channel", "two sensors"])
@pytest.mark.parametrize(("says", "numbers", "seq", "expected"), TIMES, ids=[c[0] for c in TIMES])
def test_the_time_of_a_sample(
    tmp_path: Path, says: str, numbers: list[int], seq: int, expected: int | None, other: int
) -> None:
    """Found from the nearest mark on, over all channels of the device, although samples have no index of their own."""
    stored(tmp_path / "store.db", numbers, other=other)
    assert times(tmp_path / "store.db", seq) == expected


def test_another_log_in_between(tmp_path: Path) -> None:
    """Rows of another log at the same times are not mistaken for its own."""
    stored(tmp_path / "store.db", [*range(1, 100)], "other")
    stored(tmp_path / "store.db", [*range(100, 200)])
    assert times(tmp_path / "store.db", 150, 2) == 150


def test_a_gap_has_the_times_of_its_neighbours(tmp_path: Path) -> None:
    """The readings on both sides, and none where there is none."""
    stored(tmp_path / "store.db", [*range(1, 11), *range(21, 31)])
    ledger = gapfile.read(tmp_path / "store.db", REGISTRY)
    (log,) = ledger.logs
    (gap,) = gaps.of_log(log, REGISTRY, Said())
    with contextlib.closing(storefile.connect(tmp_path / "store.db")) as db:
        times = gapfile.Times(db)
        dated = gaps.dated(gap, log, lambda i, n: times.of(i, n, ledger.channels[log.whose]))
    assert (dated.since_ms, dated.until_ms) == (T0 + 600_000, T0 + 1_260_000)

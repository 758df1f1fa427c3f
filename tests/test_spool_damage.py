"""A damaged spool: what can be read is saved, what cannot is declared, and staff are told."""

from __future__ import annotations

import contextlib
import random
import sqlite3
from pathlib import Path

import pytest

from gateway.disk import Disk
from gateway.edge import rescue, spoolfile
from gateway.edge.spool import Spool
from gateway.edge.spoolfile import Damaged
from gateway.model import Sample
from gateway.ranges import RangeSet
from tests.spools import ROOM, append, filled, opened, rows, settle, stated, unsettled
from tests.world import T0

DAY_MS = 86_400_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool.db"


def pages(path: Path, log: int, first: int, last: int) -> list[int]:
    """The pages of the file on which those samples stand, found by their bodies."""
    content = path.read_bytes()
    found = set()
    for n in range(first, last + 1):
        at = content.find(b'"m",%.1f,' % (n / 10))
        if at >= 0:
            found.add(at // 4096)
    return sorted(found)


def zero(path: Path, page: int) -> None:
    with path.open("r+b") as file:
        file.seek(page * 4096)
        file.write(bytes(4096))


def three_logs(path: Path, count: int = 1500) -> dict[str, list[Sample]]:
    samples = {}
    for _ in range(3):
        with opened(path) as spool:
            samples[spool.opening] = filled(spool, count)
    return samples


def test_what_can_be_read_of_a_damaged_file_is_saved(path: Path) -> None:
    """One page of rows is zeroed: every other sample is there under its own log and number, those are declared."""
    samples = three_logs(path)
    (page, *_) = pages(path, 1, 700, 700)
    zero(path, page)
    with opened(path) as spool:
        saved = {log: spool.unsettled(log, 10_000, RangeSet()) for log in samples}
        lost = {log: sorted({s.seq for s in samples[log]} - {s.seq for s in saved[log]}) for log in samples}
        assert sum(len(numbers) for numbers in lost.values()) in range(1, 100)
        for log, numbers in lost.items():
            assert saved[log] == [s for s in samples[log] if s.seq not in numbers]
            entry = stated(spool, log)
            assert entry is not None
            assert {n for a, b, why in entry.gone for n in range(a, b + 1) if why == "damaged"} == set(numbers)
            assert entry.next == 1501
        assert spool.depth()[1] == sum(len(found) for found in saved.values())
        assert spool.statement().notices == ["spool_damaged"]
    assert len(list(path.parent.glob("spool.db.damaged-*Z"))) == 1


def test_a_torn_file_keeps_what_stands_before_the_tear(path: Path) -> None:
    """The end of the file is missing."""
    samples = three_logs(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    with opened(path) as spool:
        saved = sum(len(spool.unsettled(log, 10_000, RangeSet())) for log in samples)
        assert saved > 1000
        for log, all_of_it in samples.items():
            found = spool.unsettled(log, 10_000, RangeSet())
            assert found == [s for s in all_of_it if s.seq in {f.seq for f in found}]


def test_the_uncheckpointed_log_of_a_damaged_file_is_read_too(path: Path, tmp_path: Path) -> None:
    """After a kill the newest samples stand in the write-ahead log alone."""
    with opened(path) as spool:
        filled(spool, 1000)
        spool._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page, *_) = pages(path, 1, 300, 300)
        newest = filled(spool, 5)
        log = spool.opening
        kept = {part: path.with_name(path.name + part).read_bytes() for part in ("", "-wal")}
    for part, content in kept.items():
        path.with_name(path.name + part).write_bytes(content)
    zero(path, page)
    with opened(path) as spool:
        assert spool.unsettled(log, 10_000, RangeSet())[-5:] == newest
        assert len(rows(spool, log)) > 900


def test_a_damaged_spool_of_0_1_0_is_saved_too(path: Path) -> None:
    """The migration need not have come first."""
    sql = (Path(__file__).parent / "releases/0.1.0/spool.sql").read_text(encoding="utf-8")
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.executescript(sql)
        (root,) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'gone'").fetchone()
    zero(path, root - 1)
    with opened(path) as spool:
        assert unsettled(spool, "8d6297099986") == [*range(5, 13)]
        assert unsettled(spool, "1513c74aeb95") == [4, 5, *range(9, 21)]
        assert spool.depth() == (25, 25)


def test_damage_ends_the_run_and_costs_no_sample_in_memory(path: Path) -> None:
    """Found by a read or a commit while running: told as Damaged, and closing moves what is known to a new file."""
    with opened(path) as spool:
        filled(spool, 3000)
        earlier = spool.opening
    spool = Spool(path, ROOM, T0)
    filled(spool, 10)
    settle(spool, earlier, 100)
    spool._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    spool._db.execute("PRAGMA cache_size = 0")
    (page, *_) = pages(path, 1, 2000, 2000)
    zero(path, page)
    spool._db.execute("PRAGMA shrink_memory")
    with pytest.raises(Damaged):
        spool.unsettled(earlier, 5000, RangeSet())
    pending = append(spool, 5)
    for _ in range(2):
        with pytest.raises(Damaged):
            spool.commit()
    spool.close()
    log = spool.opening
    with opened(path) as spool:
        assert [s.seq for s in pending] == [11, 12, 13, 14, 15]
        assert unsettled(spool, log) == [*range(1, 16)]
        assert spool.unsettled(log, 100, RangeSet())[-5:] == pending
        entry = stated(spool, earlier)
        assert entry is not None
        assert entry.next == 3001
        assert len(rows(spool, earlier)) > 2800
        assert {why for _, _, why in entry.gone} == {"damaged"}
        assert "spool_damaged" in spool.statement().notices


def test_staff_are_told_for_a_day(path: Path) -> None:
    """Across restarts, by the device's clock; then it is over."""
    path.write_bytes(b"no database" * 1000)
    clock = [0.0]
    for start_ms, want in ((0, True), (DAY_MS // 2, True), (-5000, True), (DAY_MS + 1, False)):
        spool = Spool(path, ROOM, T0 + start_ms, now=lambda: clock[0])
        assert ("spool_damaged" in spool.statement().notices) == want
        spool.close()
    path.write_bytes(b"no database" * 1000)
    spool = Spool(path, ROOM, T0, now=lambda: clock[0])
    clock[0] += 86_401
    assert spool.statement().notices == []
    spool.close()


class CutDisk(Disk):
    """The power goes after so many names were changed."""

    def __init__(self, renames: int) -> None:
        self.left = renames

    def rename(self, path: Path, to: Path) -> None:
        if self.left == 0:
            raise OSError("cut")
        self.left -= 1
        super().rename(path, to)


@pytest.mark.parametrize("renames", range(4))
def test_a_cut_while_it_is_set_aside_loses_nothing(path: Path, renames: int) -> None:
    """Wherever the names stand, the next start finds everything that was saved, and the damaged file is kept."""
    samples = three_logs(path, 500)
    path.with_name("spool.db-wal").write_bytes(b"")
    (page, *_) = pages(path, 1, 300, 300)
    zero(path, page)
    damaged = path.read_bytes()
    with contextlib.suppress(OSError):
        spoolfile_db = rescue.open_or_set_aside(path, CutDisk(renames), T0)
        spoolfile_db.close()
    with opened(path) as spool:
        saved = sum(len(spool.unsettled(log, 10_000, RangeSet())) for log in samples)
        assert saved > 1400
        assert "spool_damaged" in spool.statement().notices
    asides = [p for p in path.parent.glob("spool.db.damaged-*") if not p.name.endswith(("-wal", "-shm"))]
    assert [p.read_bytes() for p in asides] == [damaged]


def test_only_the_newest_damaged_files_are_kept(path: Path) -> None:
    """A card is small, and what could be read of them was saved."""
    for n in range(6):
        path.write_bytes(b"damaged %d " % n * 1000)
        Spool(path, ROOM, T0 + 1000 * n).close()
    kept = sorted(path.parent.glob("spool.db.damaged-*Z"))
    assert [p.read_bytes()[:9] for p in kept] == [b"damaged %d" % n for n in (3, 4, 5)]


@pytest.mark.parametrize("seed", range(8))
def test_whatever_is_damaged_the_agent_starts_and_the_account_holds(path: Path, seed: int) -> None:
    """Noise anywhere in the file: what is held is what was read, each as it was; no held number is declared."""
    rng = random.Random(seed)
    samples = three_logs(path, 800)
    with path.open("r+b") as file:
        for _ in range(rng.randrange(1, 6)):
            file.seek(rng.randrange(4096 * (seed % 2), path.stat().st_size - 600))
            file.write(rng.randbytes(rng.randrange(1, 600)))
    with opened(path) as spool:
        for log, all_of_it in samples.items():
            truth = {s.seq: s for s in all_of_it}
            entry = stated(spool, log)
            for sample in spool.unsettled(log, 10_000, RangeSet()):
                assert sample.seq in truth
            declared = RangeSet((a, b) for a, b, _ in entry.gone) if entry else RangeSet()
            assert not any(n in declared for n in rows(spool, log))
        assert [s.seq for s in filled(spool, 2)] == [1, 2]
    assert spoolfile.VERSION == 2

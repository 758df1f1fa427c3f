"""A card that refuses when the agent starts: full, failing, or gone read-only. The agent starts all the same."""

from __future__ import annotations

import contextlib
import errno
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.disk import Disk
from gateway.edge.spool import TRY_EVERY_S, Spool
from gateway.errors import Unavailable
from gateway.model import ClockState, Reading, Sample
from gateway.ranges import RangeSet
from tests import servers

T0 = 1_764_000_000_000


class Refusing(Disk):
    """Answers with `error` as long as there is one."""

    def __init__(self, error: Exception | None, now: list[float] | None = None, takes_s: float = 0.0) -> None:
        self.error, self.asked, self._now, self._takes_s = error, 0, now, takes_s

    def connect(self, path: Path, *, write: bool = True, timeout_s: float = 10.0) -> sqlite3.Connection:
        self.asked += 1
        if self._now:
            self._now[0] += self._takes_s
        if self.error is not None:
            raise self.error
        return super().connect(path, write=write, timeout_s=timeout_s)


def error(code: int) -> sqlite3.OperationalError:
    found = sqlite3.OperationalError("database or disk is full")
    found.sqlite_errorcode = code
    return found


def add(spool: Spool, count: int) -> list[Sample]:
    return [
        spool.append(T0 + n, ClockState.SYNCED, [Reading("kasuga-bridge", "water_level", "m", 1.0)])
        for n in range(count)
    ]


REFUSALS = [
    error(sqlite3.SQLITE_FULL),
    error(sqlite3.SQLITE_IOERR | 3 << 8),  # a write that failed
    OSError(errno.EROFS, "read-only file system"),
    OSError(errno.ENOSPC, "no space left on device"),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=["full", "failing", "read-only", "no space"])
def test_what_is_read_meanwhile_is_on_the_card_once_it_takes_it(tmp_path: Path, refusal: Exception) -> None:
    """Samples get their numbers, wait in memory, and are written with what the card held before; nothing is stated of a
    card that cannot be read, and staff are told."""
    path, now = tmp_path / "spool.db", [0.0]
    before = Spool(path, 10**8, T0)
    add(before, 3)
    before.close()
    disk = Refusing(refusal, now, takes_s=5.0)
    spool = Spool(path, 10**8, T0, disk=disk, now=lambda: now[0])
    assert not spool.is_open
    assert [s.seq for s in add(spool, 5)] == [1, 2, 3, 4, 5]
    for _ in range(3):
        with pytest.raises(sqlite3.Error):
            spool.commit()
    assert disk.asked == 1  # not again before its time: the check of a large file takes a while
    assert spool.notices() == ["card_refuses"]
    assert (spool.logs(), spool.depth(), spool.unsettled("x", 9, RangeSet()), spool.used_bytes()) == ([], (5, 5), [], 0)
    now[0] += TRY_EVERY_S
    with pytest.raises(sqlite3.Error):
        spool.commit()
    assert disk.asked == 2
    disk.error = None
    now[0] += TRY_EVERY_S
    assert spool.commit() == 5
    assert spool.is_open
    assert spool.notices() == []
    assert [(x.oldest, x.next) for x in spool.statement().logs] == [(1, 4), (1, 6)]
    assert [s.seq for s in spool.unsettled(spool.opening, 9, RangeSet())] == [1, 2, 3, 4, 5]
    spool.close()


def test_an_agent_that_ends_before_the_card_came_back_lets_it_go(tmp_path: Path) -> None:
    """The lock is free for the next start."""
    spool = Spool(tmp_path / "spool.db", 10**8, T0, disk=Refusing(error(sqlite3.SQLITE_FULL)))
    add(spool, 1)
    with pytest.raises(sqlite3.Error):
        spool.close()
    Spool(tmp_path / "spool.db", 10**8, T0).close()


def test_a_card_that_answers_at_once_is_asked_at_each_commit(tmp_path: Path) -> None:
    """What waits in memory waits no longer than the card refuses."""
    now = [0.0]
    disk = Refusing(error(sqlite3.SQLITE_FULL), now, takes_s=0.001)
    spool = Spool(tmp_path / "spool.db", 10**8, T0, disk=disk, now=lambda: now[0])
    add(spool, 2)
    for _ in range(3):
        now[0] += 0.5
        with pytest.raises(sqlite3.Error):
            spool.commit()
    assert disk.asked == 4
    disk.error = None
    now[0] += 0.5
    assert spool.commit() == 2
    spool.close()


@pytest.mark.parametrize("refusal", [error(sqlite3.SQLITE_BUSY), OSError(errno.EACCES, "permission denied")])
def test_what_waiting_does_not_mend_is_told_at_once(tmp_path: Path, refusal: Exception) -> None:
    """A path that is not ours keeps the agent from starting, with the reason."""
    with pytest.raises(Unavailable, match="cannot use the spool"):
        Spool(tmp_path / "spool.db", 10**8, T0, disk=Refusing(refusal))
    Spool(tmp_path / "spool.db", 10**8, T0).close()


@pytest.fixture
def card(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 2 MB."""
    with servers.small_disk(tmp_path / "card", "2m") as place:
        yield place


@pytest.mark.parametrize("read_only", [False, True])
def test_a_real_card_that_is_full_or_went_read_only(card: Path, read_only: bool) -> None:
    """The same on a file system: full to the last byte, or mounted read-only, and well again later."""
    path, now = card / "spool.db", [0.0]
    before = Spool(path, 10**6, T0)
    add(before, 3)
    before.close()
    if read_only:
        subprocess.run(["mount", "-o", "remount,ro", str(card)], check=True)
    else:
        with (card / "other").open("wb", buffering=0) as file, contextlib.suppress(OSError, AssertionError):
            while True:
                assert file.write(bytes(4096)) == 4096
    spool = Spool(path, 10**6, T0, now=lambda: now[0])
    assert not spool.is_open
    add(spool, 5)
    with pytest.raises(sqlite3.Error):
        spool.commit()
    if read_only:
        subprocess.run(["mount", "-o", "remount,rw", str(card)], check=True)
    else:
        (card / "other").unlink()
    now[0] += TRY_EVERY_S
    assert spool.commit() == 5
    spool.close()
    again = Spool(path, 10**6, T0)
    assert again.depth() == (8, 8)
    again.close()

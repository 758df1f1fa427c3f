"""Clocks: the machine's, and the one that the processes of a simulation share."""

from __future__ import annotations

import itertools
import multiprocessing
import threading
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from gateway.clock import EARLIEST_MS, SimClock, SystemClock, boot_id
from gateway.model import ClockState

ORIGIN = 1_750_000_000_000
UNSYNC = 0x40


@pytest.mark.parametrize(
    ("statuses", "marker", "expected"),
    [
        ([0], False, "synced"),  # nothing set
        ([0x2001], False, "synced"),  # PLL and nanoseconds, as a disciplined kernel shows
        ([UNSYNC], False, "unsynced"),
        ([0x2000 | UNSYNC], False, "unsynced"),
        ([None], False, "unsynced"),  # no adjtimex here
        ([0, UNSYNC], False, "holdover"),  # was synced in this process
        ([0, None], False, "holdover"),
        ([UNSYNC], True, "holdover"),  # was synced since the machine started
        ([UNSYNC, 0], False, "synced"),
    ],
)
def test_sync_state(statuses: list[int | None], marker: bool, expected: str, tmp_path: Path) -> None:
    """The kernel's word decides; a clock that was synchronised once is in holdover, never unsynced again."""
    if marker:
        (tmp_path / "synchronized").touch()
    answers = iter(statuses)
    clock = SystemClock(lambda: next(answers), tmp_path / "synchronized")
    assert [clock.sync_state() for _ in statuses][-1] == expected


def test_system_clock_answers_on_this_machine() -> None:
    """Without any injection the clock tells the time and one of the three states."""
    clock = SystemClock()
    assert abs(clock.now_ms() - time.time() * 1000) < 1000
    assert clock.sync_state() in ClockState


@pytest.mark.parametrize(
    ("shown_ms", "expected"),
    [(0, "unsynced"), (946_684_800_000, "unsynced"), (EARLIEST_MS - 1, "unsynced"), (EARLIEST_MS, "synced")],
)
def test_a_clock_that_shows_what_cannot_be_was_never_set(shown_ms: int, expected: str) -> None:
    """1970 or 2000 is believed of no kernel, whatever it says of itself."""
    assert SystemClock(lambda: 0, wall_ns=lambda: shown_ms * 1_000_000).sync_state() == expected


def test_uptime_and_its_waits_know_nothing_of_the_wall_clock() -> None:
    """The wall clock jumps about by years while a wait goes on: the wait is as long as it was meant."""
    walls = itertools.cycle([0, 1_764_000_000, 4_000_000_000])
    clock = SystemClock(wall_ns=lambda: next(walls) * 10**9)
    before = clock.uptime_ms()
    assert clock.wait_uptime(before + 120, threading.Event()) is True
    assert clock.uptime_ms() >= before + 120


def test_the_boot_has_a_name_of_its_own(tmp_path: Path) -> None:
    """The kernel's id of this boot; where it tells none, two processes never share one."""
    (tmp_path / "boot_id").write_text("5c2a\n")
    assert boot_id(tmp_path / "boot_id") == "5c2a"
    assert boot_id(tmp_path / "none") != boot_id(tmp_path / "none")
    assert SystemClock().boot == SystemClock().boot


def test_the_uptime_of_a_simulation_is_virtual(tmp_path: Path) -> None:
    """It begins at the origin and moves with virtual time, for every process alike."""
    master = SimClock.create(tmp_path / "clock", ORIGIN, None)
    other = SimClock(tmp_path / "clock")
    master.start()
    assert (other.uptime_ms(), other.boot) == (0, master.boot)
    master.advance_to(ORIGIN + 60_000)
    assert other.uptime_ms() == 60_000
    assert other.wait_uptime(60_000, threading.Event()) is True


@pytest.mark.parametrize("kind", ["system", "scaled", "stepped", "not started"])
def test_stop_ends_a_wait(kind: str, tmp_path: Path) -> None:
    """Whatever the clock, a stop ends the wait and the answer is False."""
    clock: SystemClock | SimClock = SystemClock()
    if kind != "system":
        clock = SimClock.create(tmp_path / "clock", ORIGIN, None if kind == "stepped" else 1.0)
        if kind != "not started":
            clock.start()
    stop = threading.Event()
    threading.Timer(0.05, stop.set).start()
    assert clock.wait_uptime(clock.uptime_ms() + 3_600_000, stop) is False


def test_time_that_has_come_is_not_waited_for(tmp_path: Path) -> None:
    """A time in the past returns at once, in either mode."""
    scaled = SimClock.create(tmp_path / "a", ORIGIN, 60.0)
    scaled.start()
    for clock in (SystemClock(), scaled):
        assert clock.wait_uptime(clock.uptime_ms() - 1, threading.Event()) is True


def test_scaled_time_stands_until_the_start_and_then_runs_fast(tmp_path: Path) -> None:
    """Before `start` it is the origin and nothing is due; afterwards a virtual hour passes while we watch."""
    clock = SimClock.create(tmp_path / "clock", ORIGIN, 100_000.0)
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()
    assert clock.wait_until(ORIGIN, stop) is False
    assert (clock.now_ms(), clock.started) == (ORIGIN, False)
    clock.start()
    assert clock.wait_until(ORIGIN + 3_600_000, threading.Event()) is True
    assert clock.now_ms() >= ORIGIN + 3_600_000
    assert clock.sync_state() is ClockState.SYNCED


def test_a_second_start_changes_nothing(tmp_path: Path) -> None:
    """Two processes may both call `start`: time does not begin again."""
    clock = SimClock.create(tmp_path / "clock", ORIGIN, 100_000.0)
    clock.start()
    clock.wait_until(ORIGIN + 60_000, threading.Event())
    clock.start()
    assert clock.now_ms() >= ORIGIN + 60_000


def test_stepped_time_moves_only_when_told_and_never_back(tmp_path: Path) -> None:
    """All who opened the same file see each step; a step back is ignored."""
    master = SimClock.create(tmp_path / "clock", ORIGIN, None)
    other = SimClock(tmp_path / "clock")
    assert (other.stepped, other.factor, other.origin_ms) == (True, None, ORIGIN)
    master.start()
    assert other.now_ms() == ORIGIN
    for at, expected in [(60_000, 60_000), (30_000, 60_000), (90_000, 90_000)]:
        master.advance_to(ORIGIN + at)
        assert other.now_ms() == ORIGIN + expected
    assert other.wait_until(ORIGIN + 90_000, threading.Event()) is True


@pytest.mark.parametrize("factor", [None, 1000.0])
def test_freeze_now_stops_everyone(factor: float | None, tmp_path: Path) -> None:
    """After a freeze every process stands at the same definite moment, for ever."""
    clock, other = SimClock.create(tmp_path / "clock", ORIGIN, factor), SimClock(tmp_path / "clock")
    clock.start()
    at = clock.freeze()
    time.sleep(0.01)
    assert clock.now_ms() == other.now_ms() == at
    assert other.frozen
    assert other.freeze(at + 5000) == at, "a freeze is not postponed"
    if factor is None:
        clock.advance_to(at + 1000)
        assert other.now_ms() == at


def test_freeze_ahead_lets_time_run_until_then(tmp_path: Path) -> None:
    """The end of a scenario can be given at its beginning: time reaches exactly that moment, and no other."""
    clock = SimClock.create(tmp_path / "clock", ORIGIN, 100_000.0)
    clock.freeze(ORIGIN + 600_000)
    assert not clock.frozen
    clock.start()
    assert clock.wait_until(ORIGIN + 600_000, threading.Event()) is True
    time.sleep(0.01)
    assert (clock.now_ms(), clock.frozen) == (ORIGIN + 600_000, True)
    assert clock.freeze(ORIGIN) == ORIGIN + 600_000, "time never jumps back"


def test_only_a_stepped_clock_is_advanced(tmp_path: Path) -> None:
    """Advancing a clock that runs by itself is a mistake and says so."""
    with pytest.raises(ValueError, match="stepped"):
        SimClock.create(tmp_path / "clock", ORIGIN, 2.0).advance_to(ORIGIN)


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan"), float("inf")])
def test_factor_must_make_sense(factor: float, tmp_path: Path) -> None:
    """Time neither stands nor runs back by configuration."""
    with pytest.raises(ValueError, match="factor"):
        SimClock.create(tmp_path / "clock", ORIGIN, factor)


@pytest.mark.parametrize("content", [b"", b"x", b"x" * 48])
def test_another_file_is_refused(content: bytes, tmp_path: Path) -> None:
    """A path that is not a clock is told by name instead of read as a time."""
    (tmp_path / "other").write_bytes(content)
    with pytest.raises(ValueError, match="other is not the clock"):
        SimClock(tmp_path / "other")


_ODD = 0x01010101  # the master writes only multiples of it above the origin; half-written words are none


def _watch(path: Path, until_ms: int, ready: Event, out: multiprocessing.SimpleQueue[tuple[bool, int]]) -> None:
    clock, last, whole, seen = SimClock(path), ORIGIN, True, 0
    ready.set()
    while last < until_ms:
        now = clock.now_ms()
        whole &= now >= last and (now - ORIGIN) % _ODD == 0
        seen += now != last
        last = now
    out.put((whole, seen))


def test_a_reader_in_another_process_never_sees_half_a_number(tmp_path: Path) -> None:
    """While one process steps the clock as fast as it can, another sees whole and rising times only."""
    clock = SimClock.create(tmp_path / "clock", ORIGIN, None)
    clock.start()
    steps = 200_000
    spawn = multiprocessing.get_context("spawn")
    ready, out = spawn.Event(), spawn.SimpleQueue()
    arguments = (tmp_path / "clock", ORIGIN + steps * _ODD, ready, out)
    watcher = spawn.Process(target=_watch, args=arguments)
    watcher.start()
    assert ready.wait(30)
    for i in range(1, steps + 1):
        clock.advance_to(ORIGIN + i * _ODD)
    watcher.join()
    whole, seen = out.get()
    assert whole
    assert seen > 1, "the watcher looked only afterwards"


def test_a_trusted_clock_is_believed_without_the_kernels_word() -> None:
    """By configuration; but not where it shows a year in which it cannot have been set."""
    from gateway.clock import EARLIEST_MS

    for ms, state in ((EARLIEST_MS + 1, ClockState.SYNCED), (5_000_000, ClockState.UNSYNCED)):
        clock = SystemClock(lambda: None, Path("/nowhere"), lambda ms=ms: ms * 1_000_000, trusted=True)  # type: ignore[misc]
        assert clock.sync_state() is state

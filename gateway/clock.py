"""Clocks. The shells take one of these as an argument, so that a simulation can compress a night into two minutes:
observed_at, silence and hysteresis run on it. Sockets, time-outs and back-off never do; they are real.
"""

from __future__ import annotations

import ctypes
import math
import mmap
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from gateway.model import ClockState


class Clock(Protocol):
    """What time it is, and waiting for a time."""

    def now_ms(self) -> int:
        """UTC milliseconds."""
        ...

    def wait_until(self, at_ms: int, stop: threading.Event) -> bool:
        """Sleeps until that time has come. False: `stop` was set first."""
        ...

    def sync_state(self) -> ClockState:
        """How far `now_ms` can be trusted."""
        ...


# --- the system's clock ------------------------------------------------------------------------------------------

_STA_UNSYNC = 0x40  # linux/timex.h: nobody disciplines the kernel's clock
# systemd-timesyncd touches this file at each synchronisation; /run is empty after a boot.
_SYNCED_THIS_BOOT = Path("/run/systemd/timesync/synchronized")
_SLICE_S = 1.0


class _Timex(ctypes.Structure):
    """The beginning of `struct timex`; the rest is only room for what the kernel writes."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


def kernel_clock_status() -> int | None:
    """The status word of adjtimex(2), read only. None where the system has no such call or forbids it."""
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return None
    timex = _Timex()
    return int(timex.status) if adjtimex(ctypes.byref(timex)) >= 0 else None


class SystemClock:
    """The clock of the machine."""

    def __init__(
        self,
        status: Callable[[], int | None] = kernel_clock_status,
        synced_this_boot: Path = _SYNCED_THIS_BOOT,
    ) -> None:
        self._status = status
        self._marker = synced_this_boot
        self._was_synced = False

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def wait_until(self, at_ms: int, stop: threading.Event) -> bool:
        """In slices, because the wall clock may be set while we sleep: a step forward over `at_ms` ends the wait
        within a second, and after a step backward nobody waits longer than was meant when the wait began."""
        meant_until = time.monotonic() + (at_ms - self.now_ms()) / 1000
        while not stop.is_set():
            left = min((at_ms - self.now_ms()) / 1000, meant_until - time.monotonic())
            if left <= 0:
                return True
            stop.wait(min(left, _SLICE_S))
        return False

    def sync_state(self) -> ClockState:
        status = self._status()
        if status is not None and not status & _STA_UNSYNC:
            self._was_synced = True
            return ClockState.SYNCED
        if self._was_synced or self._marker.exists():
            return ClockState.HOLDOVER
        return ClockState.UNSYNCED


# --- the clock of a simulation -----------------------------------------------------------------------------------

_MAGIC = b"SuimonC1"
_FILE = struct.Struct("=8sqdqqq")  # magic, origin_ms, factor (0: stepped), then the words that change
_STARTED_NS, _STEPPED_MS, _FREEZE_MS = 3, 4, 5  # places of those words, in units of eight bytes
_NOT_STARTED = -1
_NEVER = 2**63 - 1
_SCALED_SLICE_S = 0.05
_STEPPED_POLL_S = 0.001


class SimClock:
    """The virtual clock of one simulation, shared by all its processes through one small mapped file.

    *Scaled*: virtual time runs `factor` times as fast as real time. *Stepped* (factor None): it moves only when
    somebody calls `advance_to`. In both it stands at its origin until `start()`, so that every process is up
    before anything is due, and stops for everyone at the moment given to `freeze()`.

    Real time is CLOCK_MONOTONIC: all processes of a machine share it, nobody sets it, and a laptop that sleeps does
    not sleep through the flood.

    Why no lock is needed: magic, origin and factor are complete before the file gets its name and never change.
    Each of the three other words is a state of its own (no reader needs two of them to agree), is eight bytes long,
    stands on an eight-byte boundary and is written through a memoryview of format "q", which copies the eight bytes
    at once: one store instruction on the 64-bit machines we support, so a reader sees the old or the new number and
    never half of each. (`struct.pack_into` with a standard format would write byte by byte.)
    """

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            if path.stat().st_size != _FILE.size:
                raise ValueError(f"{path} is not the clock of a simulation")
            self._map = mmap.mmap(file.fileno(), _FILE.size)
        magic, origin_ms, factor, *_ = _FILE.unpack(self._map[:])
        if magic != _MAGIC:
            self._map.close()
            raise ValueError(f"{path} is not the clock of a simulation")
        self.origin_ms: int = origin_ms
        self.factor: float | None = factor or None
        self._words = memoryview(self._map).cast("q")

    @classmethod
    def create(cls, path: Path, origin_ms: int, factor: float | None) -> SimClock:
        """A new clock that stands at `origin_ms`. `factor` None: stepped."""
        if factor is not None and not (math.isfinite(factor) and factor > 0):
            raise ValueError(f"the factor of a simulated clock must be above 0, not {factor}")
        new = path.with_name(path.name + ".new")
        new.write_bytes(_FILE.pack(_MAGIC, origin_ms, factor or 0.0, _NOT_STARTED, origin_ms, _NEVER))
        new.replace(path)
        return cls(path)

    def close(self) -> None:
        self._words.release()
        self._map.close()

    @property
    def stepped(self) -> bool:
        return self.factor is None

    @property
    def started(self) -> bool:
        return self._words[_STARTED_NS] != _NOT_STARTED

    @property
    def frozen(self) -> bool:
        """True once virtual time has reached the moment given to `freeze`, and will never move again."""
        return self.now_ms() >= self._words[_FREEZE_MS]

    def now_ms(self) -> int:
        return min(self._flowing_ms(), self._words[_FREEZE_MS])

    def _flowing_ms(self) -> int:
        started_ns = self._words[_STARTED_NS]
        if started_ns == _NOT_STARTED:
            return self.origin_ms
        if self.factor is None:
            return self._words[_STEPPED_MS]
        return self.origin_ms + int((time.monotonic_ns() - started_ns) * self.factor / 1e6)

    def start(self) -> None:
        """Virtual time begins to move. A second call changes nothing."""
        if not self.started:
            self._words[_STARTED_NS] = time.monotonic_ns()

    def advance_to(self, at_ms: int) -> None:
        """Moves a stepped clock on; never back. One process alone, the clock's master, calls this."""
        if not self.stepped:
            raise ValueError("only a stepped clock can be advanced")
        self._words[_STEPPED_MS] = max(at_ms, self._words[_STEPPED_MS])

    def freeze(self, at_ms: int | None = None) -> int:
        """Virtual time stops for everyone: now, or when it reaches `at_ms`. Returns the moment; once given, it can
        only become earlier. (A process that looked in the instant before may have seen a moment a little later.)"""
        now = self.now_ms()
        at = min(now if at_ms is None else max(at_ms, now), self._words[_FREEZE_MS])
        self._words[_FREEZE_MS] = at
        return at

    def wait_until(self, at_ms: int, stop: threading.Event) -> bool:
        """Nothing is due before `start()`. A time after the moment of freezing never comes: `stop` ends that."""
        while not stop.is_set():
            if self.started and self.now_ms() >= at_ms:
                return True
            stop.wait(self._nap_s(at_ms))
        return False

    def _nap_s(self, at_ms: int) -> float:
        if self.factor is None or not self.started:
            return _STEPPED_POLL_S
        # At least a little: the rest of a virtual millisecond may be less than the kernel can sleep.
        return min(max((at_ms - self.now_ms()) / 1000 / self.factor, 0.0001), _SCALED_SLICE_S)

    def sync_state(self) -> ClockState:
        return ClockState.SYNCED

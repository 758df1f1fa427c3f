"""Clocks. The shells take one of these as an argument, so that a simulation can compress a night into two minutes:
observed_at, silence and hysteresis run on it. Sockets, time-outs and back-off never do; they are real.

A clock tells two times. `now_ms` is what is written into data; somebody may set it, by an hour or by fifty years.
`uptime_ms` only ever rises with time that passes: what is due, and how old something is, is reckoned by it.
"""

from __future__ import annotations

import ctypes
import math
import mmap
import secrets
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from gateway.model import ClockState


class Clock(Protocol):
    """What time it is, and waiting for a time."""

    @property
    def boot(self) -> str:
        """Which counting of `uptime_ms` this is: two readings of it compare only within the same one."""
        ...

    def now_ms(self) -> int:
        """UTC milliseconds, as far as `sync_state` says."""
        ...

    def uptime_ms(self) -> int:
        """Milliseconds since the boot, time asleep included. Nobody sets it."""
        ...

    def wait_uptime(self, at_ms: int, stop: threading.Event) -> bool:
        """Sleeps until `uptime_ms` has come to that. False: `stop` was set first."""
        ...

    def sync_state(self) -> ClockState:
        """How far `now_ms` can be trusted."""
        ...

    def offset_s(self) -> float | None:
        """How far it is known to be off at this moment, None where nobody knows."""
        ...


# --- the system's clock ------------------------------------------------------------------------------------------

_STA_UNSYNC = 0x40  # linux/timex.h: nobody disciplines the kernel's clock
_STA_NANO = 0x2000  # offsets in nanoseconds, else in microseconds
# systemd-timesyncd touches this file at each synchronisation; /run is empty after a boot.
_SYNCED_THIS_BOOT = Path("/run/systemd/timesync/synchronized")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_SLICE_S = 1.0
# 2025: no clock that shows less was ever set, whatever the kernel says (without a battery it boots in 1970).
EARLIEST_MS = 1_735_689_600_000


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


def _adjtimex() -> _Timex | None:
    """What adjtimex(2) tells, read only. None where the system has no such call or forbids it."""
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return None
    timex = _Timex()
    return timex if adjtimex(ctypes.byref(timex)) >= 0 else None


def kernel_clock_status() -> int | None:
    """The status word of the kernel's clock."""
    timex = _adjtimex()
    return None if timex is None else int(timex.status)


def kernel_clock_offset_s() -> float | None:
    """What the kernel's clock has still to be moved by, as the one who disciplines it last said."""
    timex = _adjtimex()
    if timex is None or timex.status & _STA_UNSYNC:
        return None
    return float(timex.offset) / (1e9 if timex.status & _STA_NANO else 1e6)


def boot_id(path: Path = _BOOT_ID) -> str:
    """The kernel's name for this boot. Where it tells none, one for this process: a later process must not take the
    uptime of an earlier boot for its own."""
    try:
        return path.read_text().strip()
    except OSError:
        return f"process-{secrets.token_hex(8)}"


class SystemClock:
    """The clock of the machine."""

    def __init__(
        self,
        status: Callable[[], int | None] = kernel_clock_status,
        synced_this_boot: Path = _SYNCED_THIS_BOOT,
        wall_ns: Callable[[], int] = time.time_ns,
        trusted: bool = False,
    ) -> None:
        """`trusted`: somebody sets this clock of whom the kernel does not know, as a hypervisor does."""
        self._trusted = trusted
        self._status = status
        self._marker = synced_this_boot
        self._wall_ns = wall_ns
        self._was_synced = False
        self.boot = boot_id()

    def now_ms(self) -> int:
        return self._wall_ns() // 1_000_000

    def uptime_ms(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000

    def wait_uptime(self, at_ms: int, stop: threading.Event) -> bool:
        """In slices: a machine that slept has not counted that sleep into the wait of a thread."""
        while not stop.is_set():
            left = (at_ms - self.uptime_ms()) / 1000
            if left <= 0:
                return True
            stop.wait(min(left, _SLICE_S))
        return False

    def offset_s(self) -> float | None:
        return kernel_clock_offset_s()

    def sync_state(self) -> ClockState:
        if self.now_ms() < EARLIEST_MS:
            return ClockState.UNSYNCED
        if self._trusted:
            return ClockState.SYNCED
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

    @property
    def boot(self) -> str:
        return f"simulated-{self.origin_ms}"

    def uptime_ms(self) -> int:
        """Virtual, as everything here: it begins at the origin."""
        return self.now_ms() - self.origin_ms

    def wait_uptime(self, at_ms: int, stop: threading.Event) -> bool:
        return self.wait_until(self.origin_ms + at_ms, stop)

    def offset_s(self) -> float | None:
        return None

    def sync_state(self) -> ClockState:
        return ClockState.SYNCED

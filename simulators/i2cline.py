"""Simulated devices on an I2C bus, at the seam of smbus2: `I2cLine` takes the messages that its `i2c_rdwr` takes.

Messages of one call are one transfer: a repeated start stands between them, a stop behind the last. A device that
acknowledges nothing is the kernel's EREMOTEIO, one that holds the clock its ETIMEDOUT (Linux, Documentation/i2c/
fault-codes.rst).
"""

from __future__ import annotations

import ctypes
import errno
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

I2C_M_RD = 1  # <linux/i2c.h>
Broken = Literal["", "no_answer", "late", "holds_clock", "wrong_crc", "garbage", "silent"]


class Device(Protocol):
    """`heard` and `said` raise OSError for what is not acknowledged; `again`: behind a repeated start."""

    def heard(self, data: bytes) -> None: ...

    def said(self, length: int, again: bool) -> bytes: ...


class I2cLine:
    """A bus: devices by address. `gone` is a bus whose adapter was unplugged."""

    def __init__(self, devices: Mapping[int, Device]) -> None:
        self.devices = dict(devices)
        self.gone = False
        self.transfers: list[list[tuple[int, bytes]]] = []  # of each: (address, what was written or read)
        self.opened = self.closed = 0

    def open(self, _: object = None) -> I2cLine:
        if self.gone:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        self.opened += 1
        return self

    def close(self) -> None:
        self.closed += 1

    def i2c_rdwr(self, *messages: Any) -> None:
        if self.gone:
            raise _error(errno.ENODEV)
        self.transfers.append([])
        for i, message in enumerate(messages):
            device = self.devices.get(message.addr)
            if device is None:
                raise _error(errno.EREMOTEIO)
            if message.flags & I2C_M_RD:
                data = device.said(message.len, i > 0)
                ctypes.memmove(message.buf, data, message.len)
            else:
                data = bytes(message.buf[: message.len])
                device.heard(data)
            self.transfers[-1].append((message.addr, data))


class _Breakable:
    """What every device has in common: `says` is the answer of this moment, and it may be broken."""

    def __init__(self, says: Callable[[], bytes]) -> None:
        self.says, self.broken = says, _whole()

    def be(self, broken: Broken) -> None:
        self.broken = broken

    def _acknowledge(self) -> None:
        if self.broken == "no_answer":
            raise _error(errno.EREMOTEIO)
        if self.broken == "holds_clock":
            raise _error(errno.ETIMEDOUT)

    def _filled(self, data: bytes, length: int) -> bytes:
        """What stands on the line: nobody who pulls it low is ones."""
        if self.broken == "silent":
            data = b""
        elif self.broken == "garbage":
            data = b"\x5a\xa5" * length
        elif self.broken == "wrong_crc" and data:
            data = data[:-1] + bytes([data[-1] ^ 1])
        return data[:length].ljust(length, b"\xff")


class Commanded(_Breakable):
    """A sensor that measures for `takes_s` when it is given `command`, and acknowledges no read before (Sensirion)."""

    def __init__(self, command: bytes, says: Callable[[], bytes], takes_s: float = 0.0) -> None:
        super().__init__(says)
        self._command, self._takes_s = command, takes_s
        self._ready_at: float | None = None

    def heard(self, data: bytes) -> None:
        self._acknowledge()
        if data != self._command:
            raise _error(errno.EREMOTEIO)
        self._ready_at = time.monotonic() + self._takes_s

    def said(self, length: int, again: bool) -> bytes:
        """Each measurement is read once."""
        self._acknowledge()
        ready_at, self._ready_at = self._ready_at, None
        if ready_at is None or time.monotonic() < ready_at or self.broken == "late":
            raise _error(errno.EREMOTEIO)
        return self._filled(self.says(), length)


class Registers(_Breakable):
    """A sensor with registers of `width` bytes of address: what is written first points at one, `says` is what stands
    from register 0 on, and what is written behind the address is kept in `written`. `stop`: it must see a stop
    before it is read."""

    def __init__(self, says: Callable[[], bytes], width: int = 1, stop: bool = False) -> None:
        super().__init__(says)
        self._width, self._stop, self._at = width, stop, 0
        self.written: dict[int, bytes] = {}

    def heard(self, data: bytes) -> None:
        self._acknowledge()
        self._at = int.from_bytes(data[: self._width], "big")
        if data[self._width :]:
            self.written[self._at] = data[self._width :]

    def said(self, length: int, again: bool) -> bytes:
        self._acknowledge()
        if self.broken == "late" or (self._stop and again):
            raise _error(errno.EREMOTEIO)
        return self._filled(self.says()[self._at :], length)


def _whole() -> Broken:
    return ""


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))

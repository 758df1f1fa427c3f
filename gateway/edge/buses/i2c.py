"""Sensors on an I2C bus that no driver of the kernel reads, through /dev/i2c-N and smbus2.

A reading is what the profile asks: a command that is written, a pause in which the sensor measures, and a read of as
many bytes as its frame has: of a register, whose address is written before it with a repeated start (or a stop) between
them, or of whatever the sensor has ready (UM10204, I2C-bus specification, section 3.1.10). Nothing is tried again: what
a transfer failed with, or a frame whose CRC is wrong, is the fault of this reading.

A transfer has no time-out of ours: the kernel's adapter ends it after its own, also where the clock is held low (Linux,
Documentation/i2c/dev-interface.rst and fault-codes.rst).
"""

from __future__ import annotations

import errno
import fcntl
import time
from collections.abc import Callable
from typing import Protocol

import smbus2

from gateway import settings
from gateway.errors import FaultCode
from gateway.profiles import Asked, Profile

_TIMEOUT = 0x0702  # I2C_TIMEOUT of <linux/i2c-dev.h>, in tens of milliseconds
# What a transfer fails with where the sensor did not answer: it acknowledged nothing, or held the clock for too long.
# EIO is said by some adapters for either (fault-codes.rst).
_NO_ANSWER = {errno.ENXIO, errno.EREMOTEIO, errno.ETIMEDOUT, errno.EIO}


class Adapter(Protocol):
    """What we need of `smbus2.SMBus`."""

    def i2c_rdwr(self, *messages: smbus2.i2c_msg) -> None: ...

    def close(self) -> None: ...


class I2c:
    """A bus. Not for several threads at once."""

    def __init__(self, bus: settings.I2c, opened: Callable[[settings.I2c], Adapter] | None = None) -> None:
        self.where = bus.port
        self._bus = bus
        self._opened = opened or _opened
        self._adapter: Adapter | None = None

    def patience_s(self, profile: Profile) -> float:
        """For each of the three transfers, of which an adapter may try one several times, and the pause."""
        return 9 * self._bus.timeout_s + profile.asked.pause_s + 1.0

    def read(self, sensor: settings.Sensor, profile: Profile) -> bytes | FaultCode:
        """As many bytes as the profile's frame has, or why there are none."""
        assert profile.frame is not None  # the configuration was checked
        try:
            if self._adapter is None:
                self._adapter = self._opened(self._bus)
            return _read(
                self._adapter,
                int(sensor.address or profile.asked.addresses[0], 16),
                profile.asked,
                profile.frame.length,
            )
        except OSError as e:
            if e.errno in _NO_ANSWER and self._adapter is not None:
                return FaultCode.NO_ANSWER
            self.close()
            return FaultCode.BUS_ERROR

    def close(self) -> None:
        adapter, self._adapter = self._adapter, None
        if adapter is not None:
            adapter.close()


def _read(adapter: Adapter, address: int, asked: Asked, length: int) -> bytes:
    if asked.send:
        adapter.i2c_rdwr(smbus2.i2c_msg.write(address, asked.send))
        time.sleep(asked.pause_s)
    answer = smbus2.i2c_msg.read(address, length)
    if not asked.register:
        adapter.i2c_rdwr(answer)
        return bytes(answer)
    register = smbus2.i2c_msg.write(address, asked.register)
    if asked.stop:
        adapter.i2c_rdwr(register)
        adapter.i2c_rdwr(answer)
    else:
        adapter.i2c_rdwr(register, answer)
    return bytes(answer)


def _opened(bus: settings.I2c) -> Adapter:
    """Raises OSError."""
    adapter = smbus2.SMBus(bus.port)
    try:
        assert adapter.fd is not None  # it is open
        fcntl.ioctl(adapter.fd, _TIMEOUT, max(1, round(bus.timeout_s * 100)))
    except OSError:
        adapter.close()
        raise
    return adapter

"""Sensors that share an SDI-12 line, behind an adapter at a serial port (SDI-12 Version 1.4, January 2019).

The adapter is a transparent one: it makes the break before each command and the timing on the wire, and passes on what
the sensor answers. A measurement is started (`aM!`, `aC!`, with a CRC `aMC!`, `aCC!`), waited for until its service
request or for the announced time, and fetched with `aD0!` to `aD9!` until all announced values are there (sections
4.4.5 to 4.4.12). What the profile decodes is one line: the address, all values, CR LF; its CRC is checked and gone.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import serial

from gateway import settings
from gateway.edge import serialport
from gateway.encodings.frames import CHECKSUMS
from gateway.errors import FaultCode
from gateway.profiles import Profile

TRIES = 3  # of each command, as the standard asks of a recorder; each with a break, which the adapter makes
ANSWERS = 10  # D0 to D9
MAX_LINE = 128  # characters; the longest answer is 75 of values, an address, a CRC, CR and LF (4.4.8)
END = b"\r\n"
_ANNOUNCED = {"M": re.compile(rb"([0-9]{3})([0-9])"), "C": re.compile(rb"([0-9]{3})([0-9]{2})")}
_VALUE = re.compile(rb"[+-](?:[0-9]{1,9}\.?[0-9]{0,9}|\.[0-9]{1,9})")
_VALUES = re.compile(rb"(?:%b)*" % _VALUE.pattern)
_CRC_LENGTH, _crc = CHECKSUMS["sdi12_crc"]


class Sdi12:
    """A bus. Not for several threads at once."""

    def __init__(self, bus: settings.Sdi12) -> None:
        self.where = bus.port
        self._bus = bus
        self._line: serial.Serial | None = None

    def patience_s(self, profile: Profile) -> float:
        """Each command as often as it is tried, with the silence after each, and the longest measurement."""
        return (1 + ANSWERS) * TRIES * 2 * self._bus.timeout_s + self._bus.longest_s + 1.0

    def read(self, sensor: settings.Sensor, profile: Profile) -> bytes | FaultCode:
        """The address, all values and CR LF, or why there are none."""
        try:
            if self._line is None:
                self._line = serialport.opened(self._bus.port, self._bus.baud, self._bus.format, self._bus.timeout_s)
            return self._measured(self._line, sensor.address.encode(), profile.asked.measure)
        except serialport.BROKEN:
            self.close()
            return FaultCode.BUS_ERROR

    def _measured(self, line: serial.Serial, address: bytes, measure: str) -> bytes | FaultCode:
        with_crc = "C" in measure[1:]
        if measure.startswith("R"):  # what the sensor measures by itself: one answer, nothing is announced
            values = self._asked(line, address, measure.encode(), lambda x: _values(address, x, with_crc))
            return values if isinstance(values, FaultCode) else _joined(address, values, len(_VALUE.findall(values)))
        form = _ANNOUNCED[measure[0]]
        announced = self._asked(line, address, measure.encode(), lambda x: x if form.fullmatch(x) else None)
        if isinstance(announced, FaultCode):
            return announced
        seconds, count = int(announced[:3]), int(announced[3:])
        if count == 0:
            return FaultCode.REFUSED
        if seconds > self._bus.longest_s:
            return FaultCode.MALFORMED
        self._wait(line, address, seconds, requested=measure[0] == "M")
        values = b""
        for i in range(ANSWERS):
            some = self._asked(line, address, b"D%d" % i, lambda x: _values(address, x, with_crc))
            if isinstance(some, FaultCode):
                return some
            values += some
            if not some or len(_VALUE.findall(values)) >= count:
                break  # an answer without values: the measurement was aborted (4.4.7)
        return _joined(address, values, count)

    def _asked(
        self, line: serial.Serial, address: bytes, command: bytes, judged: Callable[[bytes], bytes | None]
    ) -> bytes | FaultCode:
        """What the sensor answers behind its address, as `judged` makes it; an answer that it makes None of is none.
        After one that failed the line is let fall silent: a late answer is never the next command's."""
        heard = False
        for _ in range(TRIES):
            line.reset_input_buffer()
            line.write(address + command + b"!")
            deadline = time.monotonic() + self._bus.timeout_s
            for said in serialport.lines(line, END, MAX_LINE, deadline):
                heard = True
                if said is None:
                    continue
                # An adapter on one wire hears itself and its break.
                answer = said.lstrip(b"\0").removeprefix(address + command + b"!")
                found = judged(answer[1:]) if answer[:1] == address else None
                if found is not None:
                    return found
            heard = serialport.silence(line, self._bus.timeout_s) or heard
        return FaultCode.MALFORMED if heard else FaultCode.NO_ANSWER

    def _wait(self, line: serial.Serial, address: bytes, seconds: int, requested: bool) -> None:
        """Until the sensor requests service, or for as long as it said. A concurrent measurement requests none."""
        deadline = time.monotonic() + seconds
        for said in serialport.lines(line, END, MAX_LINE, deadline):
            if requested and said is not None and said.lstrip(b"\0") == address:
                return

    def close(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            serialport.close(line)


def _values(address: bytes, answer: bytes, with_crc: bool) -> bytes | None:
    """The values of an answer, which may be none of them; None where its form or its CRC is wrong. What an aborted
    measurement says has no CRC in some sensors (4.4.12 leaves it open)."""
    if with_crc and answer:
        answer, crc = answer[:-_CRC_LENGTH], answer[-_CRC_LENGTH:]
        if _crc(address + answer) != crc:
            return None
    return answer if _VALUES.fullmatch(answer) else None


def _joined(address: bytes, values: bytes, count: int) -> bytes | FaultCode:
    found = len(_VALUE.findall(values))
    if found < count or not found:
        return FaultCode.SENSOR_ERROR
    return address + values + END if found == count else FaultCode.MALFORMED

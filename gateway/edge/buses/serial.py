"""A sensor on a serial line of its own, through pyserial: one that speaks by itself, or one that is asked.

What has waited in the system's buffer is of an unknown age and is thrown away: a reading is a frame that began after it
was wanted. Where a frame has no start of its own, what arrives first may be the rest of one, and is left out up to its
end.
"""

from __future__ import annotations

import time

import serial

from gateway import settings
from gateway.edge import serialport
from gateway.encodings import frames
from gateway.encodings.frames import Frame
from gateway.errors import FaultCode
from gateway.profiles import Profile

HEARD = 120  # bytes that are kept of what came


class Serial:
    """A bus. Not for several threads at once."""

    def __init__(self, bus: settings.Serial) -> None:
        self.where = bus.port
        self._bus = bus
        self._line: serial.Serial | None = None
        self.heard = b""  # the end of what came since the last reading was wanted, for whoever looks for a mistake

    def patience_s(self, profile: Profile) -> float:
        """To open the line, to send, and for a whole frame."""
        return 2 * self._bus.timeout_s + 1.0

    def read(self, sensor: settings.Sensor, profile: Profile) -> bytes | FaultCode:
        """The next whole frame, or why there is none."""
        assert profile.frame is not None  # the configuration was checked
        self.heard = b""
        try:
            line = self._opened(profile)
            line.reset_input_buffer()
            if profile.asked.send:
                line.write(profile.asked.send)
            return self._frame(line, profile.frame, listening=not profile.asked.send)
        except serialport.BROKEN:
            self.close()
            return FaultCode.BUS_ERROR

    def _opened(self, profile: Profile) -> serial.Serial:
        if self._line is None:
            baud, format_ = self._bus.baud or profile.asked.baud, self._bus.format or profile.asked.format
            self._line = serialport.opened(self._bus.port, baud, format_, self._bus.timeout_s)
        return self._line

    def _frame(self, line: serial.Serial, frame: Frame, listening: bool) -> bytes | FaultCode:
        deadline = time.monotonic() + self._bus.timeout_s
        buffer, rest = b"", listening and not frame.start and bool(frame.end)
        while time.monotonic() < deadline:
            arrived = serialport.arrived(line)
            self.heard = (self.heard + arrived)[-HEARD:]
            buffer += arrived
            if rest:
                before, end, after = buffer.partition(frame.end)
                rest, buffer = not end, after if end else before[-len(frame.end) :]
                continue
            found, done = frames.cut(frame, buffer)
            buffer = buffer[done:]
            if found is not None:
                return found
        return FaultCode.MALFORMED if self.heard else FaultCode.NO_ANSWER

    def close(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            serialport.close(line)

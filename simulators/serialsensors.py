"""Simulated sensors on a pseudo-terminal: to the program that opens `port` it is a serial line.

A line with one sensor that speaks by itself or answers what it is asked; and a Modbus RTU line with several, each with
registers of its own and a way to be broken. It knows nothing of pymodbus, so it can share no mistake with what asks it
(Modbus over Serial Line v1.02, sections 2.5.1 and 6.2.2; Modbus Application Protocol v1.1b3, sections 6.3 and 6.4).
"""

from __future__ import annotations

import contextlib
import os
import pty
import select
import threading
import tty
from dataclasses import dataclass, field
from typing import Literal

from gateway.encodings.frames import CHECKSUMS

Broken = Literal["", "no_answer", "wrong_crc", "late", "garbage", "half", "refuses", "other_unit", "babbles"]
REQUEST = 8  # bytes: unit, function, address, count, CRC
_crc = CHECKSUMS["modbus_crc"][1]


@dataclass
class Unit:
    """One sensor of a line. `broken` may be set at any time; `late_s` is by how much a late answer is late;
    one that babbles goes on until it is set to something else."""

    registers: dict[int, int]
    broken: Broken = ""
    late_s: float = 0.0
    asked: list[tuple[int, int]] = field(default_factory=list)  # (address, count) of each question


class Line:
    """A pseudo-terminal and the thread that serves it, from construction until `close`."""

    def __init__(self) -> None:
        self._line, self._end = pty.openpty()
        tty.setraw(self._end)
        os.set_blocking(self._line, False)
        self.port = os.ttyname(self._end)
        self._stop = threading.Event()
        self._timers: list[threading.Timer] = []
        self._thread = threading.Thread(target=self._serve, name="serial line")
        self._thread.start()

    def close(self) -> None:
        """The adapter is pulled out: the port is gone."""
        self._stop.set()
        self._thread.join()
        for timer in self._timers:
            timer.cancel()
            timer.join()
        os.close(self._end)
        os.close(self._line)

    def _serve(self) -> None:
        raise NotImplementedError

    def _put(self, data: bytes) -> None:
        with contextlib.suppress(BlockingIOError):  # a line that nobody reads is full
            os.write(self._line, data)

    def _after(self, seconds: float, data: bytes) -> None:
        timer = threading.Timer(seconds, self._put, (data,))
        self._timers.append(timer)
        timer.start()


class Speaker(Line):
    """A line with one sensor. `says` is what it sends every `every_s` by itself; `answers` what it sends for each
    question. Both may be changed at any time: to nothing, half a frame, noise, or another value."""

    def __init__(self, says: bytes = b"", every_s: float = 0.05, answers: dict[bytes, bytes] | None = None) -> None:
        self.says, self.every_s, self.answers = says, every_s, answers or {}
        self.late_s = 0.0  # of an answer
        self.asked: list[bytes] = []
        super().__init__()

    def _serve(self) -> None:
        heard = b""
        while not self._stop.is_set():
            if not select.select([self._line], [], [], self.every_s)[0]:
                self._put(self.says)
                continue
            heard += os.read(self._line, 256)
            question = next((q for q in self.answers if heard.endswith(q)), None)
            if question is not None:
                self.asked.append(question)
                heard = b""
                self._after(self.late_s, self.answers[question]) if self.late_s else self._put(self.answers[question])


class ModbusLine(Line):
    """A line with sensors that share it."""

    def __init__(self, units: dict[int, Unit]) -> None:
        self._units = units
        super().__init__()

    def _serve(self) -> None:
        heard = b""
        while not self._stop.is_set():
            if not select.select([self._line], [], [], 0.02)[0]:
                heard = b""  # silence ends a frame
                continue
            heard += os.read(self._line, 256)
            if len(heard) >= REQUEST:
                request, heard = heard[:REQUEST], b""
                if _crc(request[:-2]) == request[-2:]:
                    self._answer(request)

    def _answer(self, request: bytes) -> None:
        unit = self._units.get(request[0])
        if unit is None:
            return
        address, count = int.from_bytes(request[2:4]), int.from_bytes(request[4:6])
        unit.asked.append((address, count))
        wanted = range(address, address + count)
        if unit.broken == "refuses" or not set(wanted) <= unit.registers.keys():
            body = bytes([request[0], request[1] | 0x80, 2])
        else:
            words = b"".join(unit.registers[at].to_bytes(2) for at in wanted)
            body = bytes([request[0], request[1], len(words)]) + words
        self._send(unit, body)

    def _send(self, unit: Unit, body: bytes) -> None:
        frame = body + _crc(body)
        if unit.broken == "late":
            self._after(unit.late_s, frame)
        elif unit.broken == "babbles":
            while unit.broken == "babbles" and not self._stop.wait(0.01):
                self._put(b"\x55" * 64)
        else:
            self._put(_spoilt(unit.broken, frame))


def _spoilt(broken: Broken, frame: bytes) -> bytes:
    if broken == "wrong_crc":
        return frame[:-1] + bytes([frame[-1] ^ 1])
    if broken == "other_unit":
        body = bytes([frame[0] + 100]) + frame[1:-2]
        return body + _crc(body)
    return {"no_answer": b"", "garbage": b"\xff\x00\xa5" * 7, "half": frame[: len(frame) // 2]}.get(broken, frame)

"""A simulated SDI-12 line behind a transparent adapter, on a pseudo-terminal: several sensors, each with an address of
its own and a way to be broken. It makes its CRC by itself, so it can share no mistake with what checks it (SDI-12
Version 1.4, sections 4.4.5 to 4.4.12).
"""

from __future__ import annotations

import os
import re
import select
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from simulators.serialsensors import Line

Broken = Literal[
    "", "no_answer", "wrong_crc", "no_request", "aborts", "late", "half", "other_address", "garbage", "babbles"
]
_COMMAND = re.compile(rb"([0-9A-Za-z])(M|MC|C|CC)([1-9]?)!|([0-9A-Za-z])(D|R|RC)([0-9])!")


@dataclass
class Probe:
    """One sensor. `values` are what it measures, with sign, by its measurement ('' is M or C, '1' M1 or C1); it says
    them `per_answer` at a time, `ready_s` after it was asked, and announces `announced_s`. All may be set at any time;
    `broken_for` ends a fault after so many answers."""

    values: Mapping[str, list[str]]
    announced_s: int = 0
    ready_s: float = 0.0
    per_answer: int = 4
    broken: Broken = ""
    broken_for: int = 1_000_000
    late_s: float = 0.0
    asked: list[str] = field(default_factory=list)
    measuring: tuple[str, bool, float] | None = None  # which, with a CRC, until when


def crc(said: bytes) -> bytes:
    """Bit by bit, as the standard describes it in words."""
    register = 0
    for character in said:
        register ^= character
        for _ in range(8):
            low = register & 1
            register >>= 1
            if low:
                register ^= 0xA001
    return bytes(0x40 | (register >> shift) & 0x3F for shift in (12, 6, 0))


class Sdi12Line(Line):
    """A line with its sensors by address. `echoes`: the adapter hears its own commands."""

    def __init__(self, probes: dict[str, Probe], echoes: bool = False) -> None:
        self._probes, self._echoes = probes, echoes
        super().__init__()

    def _serve(self) -> None:
        heard = b""
        while not self._stop.is_set():
            if select.select([self._line], [], [], 0.01)[0]:
                heard += os.read(self._line, 256)
            while b"!" in heard:
                command, _, heard = heard.partition(b"!")
                self._command(command + b"!")
            for address, probe in self._probes.items():
                self._request(address, probe)

    def _request(self, address: str, probe: Probe) -> None:
        """Service, when a measurement is ready before its time."""
        if probe.measuring is None or not probe.measuring[2] or time.monotonic() < probe.measuring[2]:
            return
        probe.measuring = (*probe.measuring[:2], 0.0)
        if probe.announced_s and probe.broken != "no_request" and probe.asked[-1][1] == "M":
            self._put(address.encode() + b"\r\n")

    def _command(self, command: bytes) -> None:
        found = _COMMAND.fullmatch(command)
        address = command[:1].decode("ascii", "replace")
        probe = self._probes.get(address)
        for other in self._probes.values():  # a break ends what a sensor measures, but for a concurrent measurement
            if other.measuring and other.measuring[2] > time.monotonic() and other.asked[-1][1] == "M":
                other.measuring = None
        if self._echoes:
            self._put(b"\0" + command)
        if found is None or probe is None:
            return
        probe.asked.append(command.decode())
        body: bytes | None
        if found[1]:
            body = self._start(probe, found[2].decode(), found[3].decode())
        else:
            body = self._fetched(probe, address, found[5].decode(), int(found[6]))
        if body is not None:
            self._send(probe, address.encode() + body + b"\r\n")

    def _start(self, probe: Probe, kind: str, which: str) -> bytes:
        values = probe.values.get(which, [])
        probe.measuring = (which, kind.endswith("C") and len(kind) == 2, time.monotonic() + probe.ready_s)
        width = 2 if kind.startswith("C") else 1
        return b"%03d%0*d" % (probe.announced_s if values else 0, width, len(values))

    def _fetched(self, probe: Probe, address: str, kind: str, number: int) -> bytes | None:
        if kind == "D":
            if probe.measuring is None or probe.broken == "aborts":
                return b""
            which, with_crc, _ = probe.measuring
            values = probe.values[which][number * probe.per_answer : (number + 1) * probe.per_answer]
        else:
            values, with_crc = probe.values.get(str(number) if number else "", []), kind == "RC"
        said = "".join(values).encode()
        if not with_crc:
            return said
        made = crc(address.encode() + said)
        return said + (made[:-1] + bytes([made[-1] ^ 1]) if self._breaks(probe, "wrong_crc") else made)

    def _breaks(self, probe: Probe, how: Broken) -> bool:
        if probe.broken != how or probe.broken_for <= 0:
            return False
        probe.broken_for -= 1
        return True

    def _send(self, probe: Probe, answer: bytes) -> None:
        if self._breaks(probe, "no_answer"):
            return
        if self._breaks(probe, "late"):
            self._after(probe.late_s, answer)
        elif self._breaks(probe, "half"):
            self._put(answer[: len(answer) // 2])
        elif self._breaks(probe, "other_address"):
            self._put(b"z" + answer[1:])
        elif self._breaks(probe, "garbage"):
            self._put(b"\xff\x00\xa5\r\n" * 7)
        elif self._breaks(probe, "babbles"):
            self._put(b"U" * 512)
        else:
            self._put(answer)

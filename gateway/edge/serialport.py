"""A serial port through pyserial, for the buses that speak over one."""

from __future__ import annotations

import contextlib
import termios
import time
from collections.abc import Iterator

import serial

TURN_S = 0.05  # of waiting for bytes, so that a deadline is kept
PIECE = 1024
BROKEN = (serial.SerialException, OSError, termios.error, ValueError)  # what a port that goes away raises


def opened(port: str, baud: int, format_: str, timeout_s: float) -> serial.Serial:
    """`format_` is data bits, parity, stop bits: 8N1. Raises one of BROKEN."""
    return serial.Serial(
        port,
        baud,
        bytesize=int(format_[0]),
        parity=format_[1],
        stopbits=int(format_[2]),
        timeout=TURN_S,
        write_timeout=timeout_s,
        exclusive=True,
    )


def close(line: serial.Serial) -> None:
    with contextlib.suppress(*BROKEN):
        line.close()


def arrived(line: serial.Serial) -> bytes:
    """What has arrived, or what arrives first within a turn."""
    return bytes(line.read(max(1, min(line.in_waiting, PIECE))))


def lines(line: serial.Serial, end: bytes, longest: int, deadline: float) -> Iterator[bytes | None]:
    """Each line until the deadline, without its end, of one that is too long the rest; then None if bytes are left that
    are no line. Byte by byte: what stands behind a line stays in the port for whoever reads next."""
    buffer = b""
    while time.monotonic() < deadline:
        buffer = (buffer + line.read(1))[-longest:]
        if buffer.endswith(end):
            yield buffer[: -len(end)]
            buffer = b""
    if buffer:
        yield None


def silence(line: serial.Serial, seconds: float) -> bool:
    """Throws away what comes within this time. Whether anything came."""
    deadline, heard = time.monotonic() + seconds, False
    while time.monotonic() < deadline:
        heard = bool(arrived(line)) or heard
    return heard

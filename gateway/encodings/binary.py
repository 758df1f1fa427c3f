"""Numbers at fixed places of a binary frame, or of the payload of a radio."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from gateway.encodings import frames, numbers
from gateway.encodings.frames import Frame
from gateway.encodings.numbers import Bits

TYPES = list(numbers.TYPES)


@dataclass(frozen=True, slots=True)
class At:
    """`byte` counts from 0 at the first byte of the frame, its start included, as datasheets draw it."""

    byte: int = 0
    type: str = "uint8"
    byte_order: Literal["big", "little"] = "big"
    bits: Bits | None = None

    @property
    def end(self) -> int:
        return self.byte + numbers.size(self.type)


def opened(frame: Frame | None, raw: Any) -> bytes | None:
    """The whole frame up to its checksum, where it is one."""
    if not isinstance(raw, bytes):
        return None
    if frame is None:
        return raw
    inner = frames.content(frame, raw)
    return None if inner is None else frame.start + inner


def number(at: At, data: bytes) -> float | None:
    part = data[at.byte : at.end]
    if len(part) < numbers.size(at.type):
        return None
    return numbers.unpacked(at.type, part[::-1] if at.byte_order == "little" else part, at.bits)


def assembled(frame: Frame | None, found: Iterable[tuple[At, float]]) -> bytes:
    """What no number fills is zero. Raises ValueError for a number that does not fit."""
    frame = frame or Frame()
    data = bytearray(frame.start)
    tail = (frames.CHECKSUMS[frame.checksum][0] if frame.checksum else 0) + len(frame.end)
    data.extend(bytes(max(0, frame.length - tail - len(data))))
    for at, value in found:
        part = numbers.packed(at.type, value, at.bits)
        part = part[::-1] if at.byte_order == "little" else part
        data.extend(bytes(max(0, at.end - len(data))))
        for i, byte in enumerate(part):
            data[at.byte + i] = data[at.byte + i] | byte if at.bits else byte
    return frames.sealed(frame, bytes(data[len(frame.start) :]))

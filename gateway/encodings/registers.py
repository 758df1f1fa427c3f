"""Registers of 16 bits, as Modbus serves them (Modbus Application Protocol v1.1b3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from gateway.encodings import numbers
from gateway.encodings.numbers import Bits

Words = Mapping[int, int]  # register address -> 16-bit word
TYPES = [t for t in numbers.TYPES if numbers.size(t) % 2 == 0]
MAX_BLOCK = 125  # registers in one read (section 6.3)


@dataclass(frozen=True, slots=True)
class At:
    """Word n of a wide type is the more significant one at the lower address where `word_order` is big (as Modbus
    itself orders bytes), the other way round where little."""

    address: int = 0
    type: str = "uint16"
    word_order: Literal["big", "little"] = "big"
    bits: Bits | None = None

    @property
    def length(self) -> int:
        """In registers."""
        return numbers.size(self.type) // 2


def opened(frame: object, raw: Any) -> Words | None:
    return raw if isinstance(raw, Mapping) else None


def number(at: At, words: Words) -> float | None:
    try:
        parts = [words[at.address + i] for i in range(at.length)]
        if at.word_order == "little":
            parts.reverse()
        data = b"".join(word.to_bytes(2, "big") for word in parts)
    except (KeyError, OverflowError, AttributeError):
        return None
    return numbers.unpacked(at.type, data, at.bits)


def assembled(frame: object, found: Iterable[tuple[At, float]]) -> dict[int, int]:
    """Raises ValueError for a number that does not fit."""
    words: dict[int, int] = {}
    for at, value in found:
        data = numbers.packed(at.type, value, at.bits)
        parts = [int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2)]
        if at.word_order == "little":
            parts.reverse()
        for i, word in enumerate(parts):
            before = words.get(at.address + i, 0) if at.bits else 0
            words[at.address + i] = before | word
    return words


def blocks(places: Iterable[At], gap: int = 8) -> list[tuple[int, int]]:
    """(first address, count) of the reads that cover every place; places at most `gap` registers apart share a read,
    because a round trip costs more than a few words and one read is one moment."""
    out: list[tuple[int, int]] = []
    for at in sorted(places, key=lambda at: at.address):
        end = at.address + at.length
        if out and at.address <= out[-1][0] + out[-1][1] + gap and end - out[-1][0] <= MAX_BLOCK:
            first, count = out[-1]
            out[-1] = (first, max(count, end - first))
        else:
            out.append((at.address, at.length))
    return out

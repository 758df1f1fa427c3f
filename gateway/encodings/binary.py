"""Numbers at places of a binary frame, or of the payload of a radio: fixed ones, or behind a tag."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from gateway.encodings import frames, numbers
from gateway.encodings.frames import Frame
from gateway.encodings.numbers import Bits

TYPES = list(numbers.TYPES)
Tagged = Mapping[bytes, bytes]  # tag -> the data behind it


@dataclass(frozen=True, slots=True)
class At:
    """`byte` counts from 0 at the first byte of the frame, its start included, as datasheets draw it; below zero from
    behind the last byte before the checksum. With a `tag` it counts from 0 at the first byte behind that. In the little
    `word_order` the first two bytes of a wide number are its least significant word, as registers often come."""

    byte: int = 0
    type: str = "uint8"
    byte_order: Literal["big", "little"] = "big"
    bits: Bits | None = None
    tag: bytes = b""
    word_order: Literal["big", "little"] = "big"

    @property
    def size(self) -> int:
        return numbers.size(self.type)

    @property
    def end(self) -> int:
        return self.byte + self.size


def opened(frame: Frame | None, raw: Any) -> bytes | Tagged | None:
    """The whole frame up to its checksum, where it is one; or the data behind each of its tags."""
    if not isinstance(raw, bytes):
        return None
    if frame is None:
        return raw
    inner = frames.content(frame, raw)
    if inner is None:
        return None
    return _tagged(dict(frame.tags), inner) if frame.tags else frame.start + inner


def _tagged(lengths: Mapping[bytes, int], data: bytes) -> Tagged | None:
    """The first of each tag. What follows an unknown tag cannot be read: a newer model may append values of its own.
    A tag without all of its data makes the whole of it none."""
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(data):
        tag = next((tag for tag in lengths if data.startswith(tag, at)), None)
        if tag is None:
            break
        at += len(tag) + lengths[tag]
        if at > len(data):
            return None
        found.setdefault(tag, data[at - lengths[tag] : at])
    return found or None


def number(at: At, content: bytes | Tagged) -> float | None:
    data = content if isinstance(content, bytes) else content.get(at.tag, b"")
    first = at.byte if at.byte >= 0 else len(data) + at.byte
    part = data[first : first + at.size] if first >= 0 else b""
    if len(part) < at.size:
        return None
    return numbers.unpacked(at.type, _ordered(at, part), at.bits)


def _ordered(at: At, part: bytes) -> bytes:
    """The bytes of a number, the most significant first; and its own inverse."""
    if at.word_order == "little":
        part = b"".join(part[i : i + 2] for i in range(len(part) - 2, -1, -2))
    return part[::-1] if at.byte_order == "little" else part


def assembled(frame: Frame | None, found: Iterable[tuple[At, float]]) -> bytes:
    """What no number fills is zero. Raises ValueError for a number that does not fit."""
    frame = frame or Frame()
    if frame.tags:
        return frames.sealed(frame, _tags(dict(frame.tags), list(found)))
    data = bytearray(frame.start)
    data.extend(bytes(max(0, frame.length - frames.tail(frame) - len(data))))
    places = sorted(found, key=lambda item: item[0].byte < 0)  # those from the end once it is known
    if not frame.length:
        behind = max((at.end for at, _ in places if at.byte >= 0), default=0)
        data.extend(bytes(max(0, behind - len(data)) + max((-at.byte for at, _ in places), default=0)))
    for at, value in places:
        _put(data, at, value)
    return frames.sealed(frame, bytes(data[len(frame.start) :]))


def _put(data: bytearray, at: At, value: float) -> None:
    part = _ordered(at, numbers.packed(at.type, value, at.bits))
    data.extend(bytes(max(0, at.end - len(data))))
    first = at.byte if at.byte >= 0 else len(data) + at.byte
    for i, byte in enumerate(part):
        data[first + i] = data[first + i] | byte if at.bits else byte


def _tags(lengths: Mapping[bytes, int], found: list[tuple[At, float]]) -> bytes:
    """The tags that some number stands behind."""
    behind: dict[bytes, bytearray] = {}
    for at, value in found:
        _put(behind.setdefault(at.tag, bytearray(lengths.get(at.tag, 0))), at, value)
    return b"".join(tag + bytes(data) for tag, data in behind.items())

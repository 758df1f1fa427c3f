"""What is around the numbers of a frame: how it begins and ends, how long it is, and by what it is checked.

    start | content ............ | checksum | end

A checksum covers everything before it, from the first byte of the start; that of NMEA 0183 what stands between `$` and
`*`, and `--` in its start is any talker, as that standard writes it (NMEA 0183, section 5.3; SDI-12 v1.4, section
4.4.12; Modbus over Serial Line v1.02, section 6.2.2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

MAX_LENGTH = 1024  # bytes; what goes on without an end is no frame


@dataclass(frozen=True, slots=True)
class Frame:
    """`length` is that of the whole in bytes, 0 where the end tells. `separator` parts the fields of a text: one
    character, or `sign` where each number begins with its own plus or minus (SDI-12). `tags`: the content is a row of
    tagged values, each tag with the bytes of data behind it."""

    start: bytes = b""
    end: bytes = b""
    length: int = 0
    checksum: str = ""
    separator: str = ""
    tags: tuple[tuple[bytes, int], ...] = ()

    @property
    def ends(self) -> bool:
        """Whether it can be cut from a stream of bytes; the payload of a radio cannot."""
        return bool(self.length or self.end)


def _sum8(data: bytes) -> bytes:
    return bytes([sum(data) & 0xFF])


def _xor8(data: bytes) -> bytes:
    out = 0
    for byte in data:
        out ^= byte
    return bytes([out])


def _crc16(data: bytes) -> int:
    """Polynomial 0xA001, reflected; start value apart."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc


def _modbus(data: bytes) -> bytes:
    return _crc16(data).to_bytes(2, "little")


def _sdi12(data: bytes) -> bytes:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return bytes([0x40 | crc >> 12, 0x40 | crc >> 6 & 0x3F, 0x40 | crc & 0x3F])


def _nmea(data: bytes) -> bytes:
    return b"*%02X" % _xor8(data[1:])[0]


CHECKSUMS: dict[str, tuple[int, Callable[[bytes], bytes]]] = {  # its length in bytes, and how it is made
    "sum8": (1, _sum8),
    "xor8": (1, _xor8),
    "modbus_crc": (2, _modbus),
    "sdi12_crc": (3, _sdi12),
    "nmea": (3, _nmea),
}


IN_WORDS = "crc8_words"  # no checksum at the end: each word of two bytes has its CRC-8 behind it
CHECKS = [*CHECKSUMS, IN_WORDS]
ANY_TALKER = b"--"


def crc8(data: bytes) -> int:
    """x^8 + x^5 + x^4 + 1, begun with FF (Sensirion, datasheet SHT3x-DIS of May 2018, table 20)."""
    crc = 0xFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc << 1 ^ 0x131 if crc & 0x80 else crc << 1
    return crc


def _in_words(inner: bytes) -> bytes:
    """With the CRC of each word in its place."""
    return bytes(crc8(inner[i - 2 : i]) if i % 3 == 2 else byte for i, byte in enumerate(inner))


def tail(frame: Frame) -> int:
    """How many bytes stand behind the content: checksum and end."""
    return (CHECKSUMS[frame.checksum][0] if frame.checksum in CHECKSUMS else 0) + len(frame.end)


def _starts(frame: Frame, data: bytes) -> bool:
    """Whether the data is the start of a frame, or as much of it as has arrived."""
    start = frame.start[: len(data)]
    if frame.checksum != "nmea" or ANY_TALKER not in frame.start:
        return start == data
    return all(a == b or a == ANY_TALKER[0] for a, b in zip(start, data, strict=True))


def _found(frame: Frame, buffer: bytes, at: int) -> int:
    """Where the next start is; -1 where none is whole."""
    first, size = frame.start[:1], len(frame.start)
    found = buffer.find(first, at)
    while found >= 0 and not (found + size <= len(buffer) and _starts(frame, buffer[found : found + size])):
        found = buffer.find(first, found + 1)
    return found


def content(frame: Frame, raw: bytes) -> bytes | None:
    """What stands between start and checksum, or None where this is no such frame."""
    behind = tail(frame)
    if len(raw) < len(frame.start) + behind or len(raw) > MAX_LENGTH:
        return None
    if not _starts(frame, raw[: len(frame.start)]) or not raw.endswith(frame.end) or frame.length not in (0, len(raw)):
        return None
    body = raw[: len(raw) - len(frame.end)]
    if frame.checksum == IN_WORDS:
        inner = body[len(frame.start) :]
        return inner if len(inner) % 3 == 0 and inner == _in_words(inner) else None
    if frame.checksum:
        length = behind - len(frame.end)
        body, check = body[:-length], body[-length:]
        wanted = CHECKSUMS[frame.checksum][1](body)
        if check.upper() != wanted.upper() if frame.checksum == "nmea" else check != wanted:
            return None
    return body[len(frame.start) :]


def sealed(frame: Frame, inner: bytes) -> bytes:
    """The frame around its content. The inverse of `content`; a CRC behind each word is put over what stands there."""
    if frame.checksum == IN_WORDS:
        return frame.start + _in_words(inner) + frame.end
    talker = frame.checksum == "nmea" and ANY_TALKER in frame.start
    body = (frame.start.replace(ANY_TALKER, b"GN", 1) if talker else frame.start) + inner
    check = CHECKSUMS[frame.checksum][1](body) if frame.checksum else b""
    return body + check + frame.end


def cut(frame: Frame, buffer: bytes) -> tuple[bytes | None, int]:
    """(the first whole frame in what has arrived, how many bytes are done with), of a frame that `ends`. What cannot
    belong to a frame is done with, so that noise before a frame costs the noise alone; a frame that is not whole yet
    waits."""
    at = 0
    while at < len(buffer):
        found = _found(frame, buffer, at) if frame.start else at
        if found < 0:  # the beginning of a start may stand at the end
            longest = min(len(frame.start) - 1, len(buffer))
            keep = next((n for n in range(longest, 0, -1) if _starts(frame, buffer[-n:])), 0)
            return None, len(buffer) - keep
        end = _end(frame, buffer, found)
        if end is None:
            if len(buffer) - found <= MAX_LENGTH:
                return None, found
        elif content(frame, buffer[found:end]) is not None:
            return buffer[found:end], end
        elif frame.end and not frame.start and not frame.length:
            at = end  # a line that is wrong is done with as a line
            continue
        at = found + 1
    return None, at


def _end(frame: Frame, buffer: bytes, start: int) -> int | None:
    """Where the frame that begins there ends; None where that has not arrived."""
    if frame.length:
        return start + frame.length if len(buffer) >= start + frame.length else None
    found = buffer.find(frame.end, start + len(frame.start))
    return None if found < 0 else found + len(frame.end)

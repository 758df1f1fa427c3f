"""Numbers as bytes: the types that registers and binary frames have in common."""

from __future__ import annotations

import math
import struct

# Big-endian struct codes; the three-byte types are cut out of four bytes.
TYPES: dict[str, str] = {
    "uint8": ">B",
    "int8": ">b",
    "uint16": ">H",
    "int16": ">h",
    "uint24": ">I",
    "int24": ">i",
    "uint32": ">I",
    "int32": ">i",
    "float32": ">f",
    "uint64": ">Q",
    "int64": ">q",
    "float64": ">d",
}
Bits = tuple[int, int]  # lowest and highest bit of a field in an unsigned number, 0 the least significant


def size(type_: str) -> int:
    """In bytes."""
    return 3 if type_.endswith("24") else struct.calcsize(TYPES[type_])


def is_float(type_: str) -> bool:
    return type_.startswith("float")


def span(type_: str, bits: Bits | None = None) -> tuple[int, int]:
    """The lowest and highest whole number of a type, or of a field of its bits."""
    if bits is not None:
        return 0, (1 << (bits[1] - bits[0] + 1)) - 1
    width = size(type_) * 8
    return (0, 2**width - 1) if type_.startswith("u") else (-(2 ** (width - 1)), 2 ** (width - 1) - 1)


def unpacked(type_: str, data: bytes, bits: Bits | None = None) -> float:
    """The number in `size(type_)` bytes, the most significant first."""
    if type_.endswith("24"):
        negative = type_ == "int24" and data[0] & 0x80
        data = (b"\xff" if negative else b"\x00") + data
    number: float = struct.unpack(TYPES[type_], data)[0]
    if bits is not None:
        return int(number) >> bits[0] & span(type_, bits)[1]
    # A float32 carries seven digits: 1.234 is served as 1.2339999675750732 and means 1.234.
    return float(f"{number:.7g}") if type_ == "float32" and math.isfinite(number) else number


def packed(type_: str, number: float, bits: Bits | None = None) -> bytes:
    """The inverse; of a field of bits with zeros around it. Raises ValueError for a number that does not fit."""
    if not is_float(type_):
        low, high = span(type_, bits)
        if not low <= number <= high:
            raise ValueError(f"{number:g} does not fit {type_}")
        whole = round(number) << (bits[0] if bits else 0)
        return (whole & (1 << size(type_) * 8) - 1).to_bytes(size(type_), "big")
    try:
        return struct.pack(TYPES[type_], number)
    except (struct.error, OverflowError) as e:
        raise ValueError(f"{number:g} does not fit {type_}") from e

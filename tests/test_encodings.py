"""The encodings: what a frame is and what is none, numbers and their places as inverses, and any input at all."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.encodings import binary, frames, jsonpath, named, numbers, registers, text
from gateway.encodings.frames import Frame
from gateway.encodings.numbers import Bits

# --- frames

GLL = b"$GPGLL,5300.97914,N,00259.98174,E,125926,A"


@pytest.mark.parametrize(
    ("checksum", "raw", "inner"),
    [
        ("modbus_crc", "01 04 02 FF FF B8 80", "01 04 02 FF FF"),  # Modbus over Serial Line v1.02, section 6.2.2
        ("sum8", "FF 07 A1 A7", "FF 07 A1"),
        ("xor8", "02 31 32 01", "02 31 32"),
        ("sdi12_crc", b"0+3.14OqZ".hex(), b"0+3.14".hex()),  # SDI-12 v1.4, section 4.4.12.3
        ("nmea", (GLL + b"*28").hex(), GLL.hex()),
        ("nmea", (GLL + b"*2a").hex(), None),
        ("sum8", "FF 07 A1 A8", None),
        ("modbus_crc", "01 04 02 FF FE B8 80", None),
    ],
)  # fmt: skip
def test_checksums(checksum: str, raw: str, inner: str | None) -> None:
    """Frames from the standards are whole; one wrong bit and they are none."""
    expected = None if inner is None else bytes.fromhex(inner)
    assert frames.content(Frame(checksum=checksum), bytes.fromhex(raw)) == expected


FRAMES = st.builds(
    Frame,
    start=st.sampled_from([b"", b"R", b"\xff", b"\xff\xfe"]),
    end=st.sampled_from([b"\r", b"\r\n"]),
    checksum=st.sampled_from(["", *frames.CHECKSUMS]),
)


@given(FRAMES, st.binary(max_size=20))
def test_what_is_sealed_is_a_frame(frame: Frame, inner: bytes) -> None:
    """`content` is the inverse of `sealed`, whatever stands inside."""
    assert frames.content(frame, frames.sealed(frame, inner)) == inner


FIXED = Frame(start=b"\xff", length=4, checksum="sum8")
LINE = Frame(start=b"R", end=b"\r")
NMEA = Frame(start=b"$--RMC,", end=b"\r\n", checksum="nmea")


@pytest.mark.parametrize(
    ("what", "frame", "arrived", "expected"),
    [
        ("whole", FIXED, "FF 07 A1 A7", ("FF 07 A1 A7", 4)),
        ("whole, and the next begins", FIXED, "FF 07 A1 A7 FF", ("FF 07 A1 A7", 4)),
        ("not whole yet", FIXED, "FF 07 A1", (None, 0)),
        ("noise before it", FIXED, "00 12 FF 07 A1 A7", ("FF 07 A1 A7", 6)),
        ("a start in the noise", FIXED, "FF 00 FF 07 A1 A7", ("FF 07 A1 A7", 6)),
        ("a wrong checksum before it", FIXED, "FF 07 A1 A8 FF 07 A1 A7", ("FF 07 A1 A7", 8)),
        ("nothing but noise", FIXED, "00 01 02", (None, 3)),
        ("a line", LINE, b"R1234\rR12".hex(), (b"R1234\r".hex(), 6)),
        ("from the middle of a line", LINE, b"34\rR1234\r".hex(), (b"R1234\r".hex(), 9)),
        ("a line without its end", LINE, b"R1234".hex(), (None, 0)),
        ("a start of two bytes, of which one is there", Frame(start=b"\x55\xaa", length=3), "00 55", (None, 1)),
        ("any talker", replace(NMEA, start=b"$--GLL,"), (GLL + b"*28\r\n").hex(), ((GLL + b"*28\r\n").hex(), 47)),
        ("another sentence, and one begins", NMEA, b"$GPGGA,1*7B\r\n$GN".hex(), (None, 13)),
        ("a wrong line, then one", Frame(end=b"\r", checksum="xor8"), b"1x\r1\x31\r".hex(), (b"1\x31\r".hex(), 6)),
    ],
)  # fmt: skip
def test_a_frame_is_cut_from_what_has_arrived(
    what: str, frame: Frame, arrived: str, expected: tuple[str | None, int]
) -> None:
    """The first whole frame, and how much is done with."""
    found, done = frames.cut(frame, bytes.fromhex(arrived))
    assert (found, done) == (None if expected[0] is None else bytes.fromhex(expected[0]), expected[1]), what


@given(
    st.sampled_from([FIXED, LINE, NMEA, Frame(end=b"\r\n", checksum="nmea"), Frame(start=b"\x55\xaa", length=9)]),
    st.data(),
)
def test_every_frame_is_found_in_a_stream_however_it_arrives(frame: Frame, data: st.DataObject) -> None:
    """Frames come out in order and whole, cut into whatever pieces; and what waits stays bounded."""
    size = frame.length - len(frame.start) - (1 if frame.checksum else 0) if frame.length else 4
    inner = data.draw(st.lists(st.text("0123456789", min_size=size, max_size=size), max_size=5))
    sent = [frames.sealed(frame, x.encode()) for x in inner]
    stream, found, buffer = b"".join(sent), list[bytes](), b""
    while stream:
        n = data.draw(st.integers(1, 7))
        buffer, stream = buffer + stream[:n], stream[n:]
        while True:
            whole, done = frames.cut(frame, buffer)
            buffer = buffer[done:]
            if whole is None:
                break
            found.append(whole)
    assert found == sent


@given(FRAMES | st.just(FIXED), st.binary(max_size=3000))
def test_what_waits_is_bounded(frame: Frame, noise: bytes) -> None:
    """Whatever arrives, no more than the longest frame waits for its end."""
    buffer = noise
    for _ in range(len(noise) + 1):
        whole, done = frames.cut(frame, buffer)
        assert whole is None or frames.content(frame, whole) is not None
        buffer = buffer[done:]
        if whole is None:
            break
    assert len(buffer) <= frames.MAX_LENGTH


# --- places

TYPES = st.sampled_from(list(numbers.TYPES))


def bits_of(type_: str, data: st.DataObject) -> Bits | None:
    if not type_.startswith("u") or data.draw(st.booleans()):
        return None
    high = data.draw(st.integers(0, numbers.size(type_) * 8 - 1))
    return data.draw(st.integers(0, high)), high


@given(TYPES, st.sampled_from(["big", "little"]), st.integers(0, 9), st.data())
def test_binary_round_trip(type_: str, order: Any, byte: int, data: st.DataObject) -> None:
    """Every number that a place can hold comes back from it, also a field of bits."""
    bits = bits_of(type_, data)
    words = "big" if numbers.size(type_) % 2 else data.draw(st.sampled_from(["big", "little"]))
    low, high = (-(2**20), 2**20) if numbers.is_float(type_) else numbers.span(type_, bits)
    number = data.draw(st.integers(max(low, -(2**53)), min(high, 2**53)))
    at = binary.At(byte + 1, type_, order, bits, word_order=words)
    frame = Frame(start=b"\xa5", length=20, checksum="sum8")
    content = binary.opened(frame, binary.assembled(frame, [(at, number)]))
    assert content is not None
    assert binary.number(at, content) == number


def test_three_bytes_carry_a_sign() -> None:
    """FF FF FE is -2 as int24, and 16777214 as uint24."""
    assert binary.number(binary.At(0, "int24"), b"\xff\xff\xfe") == -2
    assert binary.number(binary.At(0, "uint24"), b"\xff\xff\xfe") == 16777214
    assert binary.number(binary.At(0, "int24", "little"), b"\xfe\xff\xff") == -2


def test_fields_of_bits_share_a_word() -> None:
    """Two fields of one register or byte stand beside each other, and neither wipes the other out."""
    low, high = registers.At(4, "uint16", bits=(0, 11)), registers.At(4, "uint16", bits=(12, 15))
    words = registers.assembled(None, [(low, 0xABC), (high, 0x9)])
    assert words == {4: 0x9ABC}
    assert (registers.number(low, words), registers.number(high, words)) == (0xABC, 0x9)
    a, b = binary.At(0, "uint8", bits=(0, 3)), binary.At(0, "uint8", bits=(4, 7))
    assert binary.assembled(None, [(a, 5), (b, 10)]) == b"\xa5"


@pytest.mark.parametrize(
    ("what", "frame", "raw", "at", "expected"),
    [
        ("columns", LINE, b"R1234\r", text.At(columns=(0, 3)), 1234.0),
        ("a field", Frame(end=b"\r\n", separator=","), b"a,2.5,-7\r\n", text.At(2), -7.0),
        ("a word in a field", Frame(end=b"\r\n", separator=","), b"a,----,7\r\n", text.At(1), "----"),
        ("the first of SDI-12", Frame(end=b"\r\n", separator="sign"), b"0+3.14-2.718+1\r\n", text.At(1), 3.14),
        ("the second", Frame(end=b"\r\n", separator="sign"), b"0+3.14-2.718+1\r\n", text.At(2), -2.718),
        ("a field that is not there", Frame(end=b"\r\n", separator=","), b"a,2.5\r\n", text.At(2), None),
        ("columns that are not there", LINE, b"R123\r", text.At(columns=(0, 3)), None),
        ("blanks around", Frame(end=b"\r\n", separator=","), b"a, 2.5 \r\n", text.At(1), 2.5),
        ("no exponent, no infinity", Frame(end=b"\r", separator=","), b"1e5,inf\r", text.At(0), "1e5"),
        ("a whole line", Frame(end=b"\r"), b"+12.25\r", text.At(0), 12.25),
    ],
)  # fmt: skip
def test_text(what: str, frame: Frame, raw: bytes, at: text.At, expected: float | str | None) -> None:
    """Fields and columns of a line; what is no number is given as it stands."""
    line = text.opened(frame, raw)
    assert line is not None
    assert text.number(at, line) == expected, what


def test_text_beyond_ascii_is_none() -> None:
    assert text.opened(LINE, "R12３4\r".encode()) is None


@given(st.sampled_from([",", ";", "sign"]), st.lists(st.integers(-999_999, 999_999), min_size=1, max_size=5))
def test_text_round_trip(separator: str, found: list[int]) -> None:
    """Numbers come back from their fields."""
    frame = Frame(end=b"\r\n", separator=separator)
    places = [text.At(i + 1) for i in range(len(found))]
    line = text.opened(frame, text.assembled(frame, [(at, n / 100) for at, n in zip(places, found, strict=True)]))
    assert line is not None
    assert [text.number(at, line) for at in places] == [n / 100 for n in found]


@pytest.mark.parametrize(("number", "raw"), [(0, b"R0000\r"), (7, b"R0007\r"), (5000, b"R5000\r")])
def test_columns_are_filled(number: float, raw: bytes) -> None:
    """A number of fixed width is led by zeros; one that is too wide is an error in the simulator."""
    at = text.At(columns=(0, 3))
    assert text.assembled(LINE, [(at, number)]) == raw
    with pytest.raises(ValueError, match="does not fit"):
        text.assembled(LINE, [(at, 12345)])


@pytest.mark.parametrize(
    ("what", "document", "at", "expected"),
    [
        ("left out, where that means 0", {"rain": {}}, jsonpath.At(("rain", "mm"), absent=0.0), 0.0),
        ("left out, and nothing is said", {"rain": {}}, jsonpath.At(("rain", "mm")), None),
        ("a step before is left out", {}, jsonpath.At(("rain", "mm"), absent=0.0), None),
        ("null", {"mm": None}, jsonpath.At(("mm",)), "null"),
        ("true", {"wet": True}, jsonpath.At(("wet",)), "true"),
        ("text", {"mm": "1.5"}, jsonpath.At(("mm",)), "1.5"),
        ("a list", {"mm": [1]}, jsonpath.At(("mm",)), None),
        ("an index into a text", {"mm": "abc"}, jsonpath.At(("mm", 1)), "b"),
        ("beyond any float", {"mm": 10**400}, jsonpath.At(("mm",)), None),
    ],
)
def test_json(what: str, document: Any, at: jsonpath.At, expected: Any) -> None:
    """What a path finds: numbers, words, what is left out."""
    parsed = jsonpath.opened(None, json.dumps(document).encode())
    assert parsed is not None
    assert jsonpath.number(at, parsed) == expected, what


def test_names() -> None:
    """A driver's own scale is applied, and a factor on top of it; a name that is not there is no number."""
    raw = {"in_voltage0_raw": 8000, "in_voltage0_scale": 0.125}
    at = named.At("in_voltage0_raw", "in_voltage0_scale", 0.01)
    assert named.number(at, raw) == 10.0
    assert named.number(at, {"in_voltage0_raw": 8000}) is None
    assert named.assembled(None, [(at, 10.0)]) == {"in_voltage0_raw": 1000.0, "in_voltage0_scale": 1.0}
    assert named.opened(None, b"7") is None


@given(st.binary(max_size=60), FRAMES | st.none() | st.just(FIXED))
def test_any_bytes_are_a_number_or_none(raw: bytes, frame: Frame | None) -> None:
    """Whatever arrives, a place gives a number, a text or nothing, never an exception."""
    content = binary.opened(frame, raw)
    if content is not None:
        for type_ in numbers.TYPES:
            found = binary.number(binary.At(1, type_), content)
            assert found is None or isinstance(found, int | float)
    tagged = binary.opened(Frame(tags=((b"\x01\x75", 1), (b"\x03", 3))), raw)
    if tagged is not None:
        for byte in (-4, -1, 0, 2):
            found = binary.number(binary.At(byte, "uint8", tag=b"\x03"), tagged)
            assert found is None or 0 <= found <= 255
    for separator in (",", "sign", ""):
        line = text.opened(Frame(end=b"", separator=separator), raw)
        if line is not None:
            for at in (
                text.At(0),
                text.At(3),
                text.At(columns=(2, 5)),
                text.At(key="a", after="m"),
                text.At(1, type="latitude"),
            ):
                said = text.number(at, line)
                assert said is None or isinstance(said, str) or math.isfinite(said)
    parsed = jsonpath.opened(None, raw)
    if parsed is not None:
        jsonpath.number(jsonpath.At(("a", 0)), parsed)


# --- tags, keys, angles

TAGS = {b"\x01\x75": 1, b"\x03\x82": 2, b"\xff\x0b": 1}


@given(st.dictionaries(st.sampled_from(list(TAGS)), st.integers(0, 255), min_size=1), st.binary(max_size=3))
def test_tags_round_trip(found: dict[bytes, int], behind: bytes) -> None:
    """What stands behind a tag comes back, in whatever order the tags come and whatever unknown follows them."""
    frame = Frame(tags=tuple(TAGS.items()))
    places = [(binary.At(TAGS[tag] - 1, "uint8", tag=tag), number) for tag, number in found.items()]
    content = binary.opened(frame, binary.assembled(frame, places) + b"\x00" + behind)
    assert content is not None
    assert [binary.number(at, content) for at, _ in places] == list(found.values())


def test_a_number_is_not_taken_for_a_tag() -> None:
    """Bytes of data that look like a tag are data: 03 82 as a distance is 33283, not the begin of another."""
    content = binary.opened(Frame(tags=tuple(TAGS.items())), bytes.fromhex("03 82 03 82 01 75 64"))
    assert content is not None
    assert binary.number(binary.At(0, "uint16", tag=b"\x03\x82"), content) == 0x0382
    assert binary.number(binary.At(0, "uint8", tag=b"\x01\x75"), content) == 100


@pytest.mark.parametrize(
    ("what", "at", "line", "expected"),
    [
        ("a key", text.At(key="Dm=", after="D"), "0R0,Dm=012D", 12.0),
        ("spaces around", text.At(key="Acc", after="mm"), "x, Acc  0.20 mm ", 0.2),
        ("the key alone", text.At(key="Dm="), "Dm=", ""),
        ("no such key", text.At(key="Dx="), "Dm=012D", None),
        ("another unit", text.At(key="Acc", after="mm"), "Acc 0.2 in", "in"),
        ("no good", text.At(key="Dm=", after="D"), "Dm=012#", "#"),
        ("north", text.At(0, type="latitude"), "4124.8963,N", 41.414938333),
        ("west", text.At(0, type="longitude"), "12311.12,W", -123.185333333),
        ("a letter of the other", text.At(0, type="latitude"), "4124.8963,E", None),
        ("no letter", text.At(0, type="latitude"), "4124.8963", None),
        ("sixty minutes", text.At(0, type="latitude"), "4160.0,N", None),
        ("no position", text.At(0, type="latitude"), ",", ""),
    ],
)  # fmt: skip
def test_places_of_text(what: str, at: text.At, line: str, expected: float | str | None) -> None:
    """A number behind its key with the unit the sensor says, an angle with its hemisphere."""
    opened = text.opened(Frame(separator=","), line.encode())
    assert opened is not None
    assert text.number(at, opened) == expected, what


@given(st.floats(-90, 90), st.floats(-180, 180))
def test_angles_round_trip(latitude: float, longitude: float) -> None:
    """A position comes back from its degrees and minutes, to a tenth of a metre."""
    places = [(text.At(1, type="latitude"), latitude), (text.At(3, type="longitude"), longitude)]
    frame = Frame(start=b"$GPRMC", end=b"\r\n", checksum="nmea", separator=",")
    opened = text.opened(frame, text.assembled(frame, places))  # type: ignore[arg-type]
    assert opened is not None
    assert [text.number(at, opened) for at, _ in places] == pytest.approx([latitude, longitude], abs=1e-6)

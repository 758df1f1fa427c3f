"""What the simulated devices of others say, read by the bridge: every format by encoders that share nothing with it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import config
from gateway.codecs import Told
from gateway.foreign import CODECS
from gateway.profiles import Profile, decode
from simulators import foreignformats as said
from simulators.foreignformats import Uplink

T0 = 1_790_000_000_123
UP = Uplink(
    device="kasuga",
    dev_eui="a84041f0d1827e3c",
    dev_addr="00189440",
    session=bytes(range(16)),
    count=7,
    received_ms=T0,
    gateway="0016c001f153a14c",
    transmission="3ac7e3c4-4401-4b8d-9386-a5c902f9202d",
    nanoseconds=999_999,
)
TIMES = st.integers(946_684_800_000, 4_102_444_800_000)
LEVELS = st.integers(-10_000, 99_999).map(lambda millimetres: millimetres / 1000)
DISTANCES = st.integers(301, 9_998).map(lambda millimetres: millimetres / 1000)
RADIOS: dict[str, tuple[str, Callable[..., bytes]]] = {
    "chirpstack": ("00189440", said.chirpstack),
    "tts": ("AAECAwQFBgcICQoLDA0ODw", said.things_stack),
}


def read(codec: str, payload: bytes) -> tuple[Told, ...]:
    return CODECS[codec].read(payload)


@pytest.fixture(scope="module")
def mbx(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    return config.load_profiles(Path(tmp_path_factory.mktemp("none")), [])["decentlab_dl_mbx"]


def apart(readings: Sequence[tuple[int, float]]) -> bool:
    return len({at for at, _ in readings}) == len(readings)


@pytest.mark.parametrize(("codec", "say"), [("senml_json", said.senml_json), ("senml_cbor", said.senml_cbor)])
@given(readings=st.lists(st.tuples(TIMES, LEVELS), min_size=1, max_size=5).filter(apart))
def test_senml(codec: str, say: Callable[..., bytes], readings: list[tuple[int, float]]) -> None:
    """Each reading of a pack comes back with its time to the millisecond, its name and its unit."""
    told = read(codec, say("0024befffe804ff1", readings))
    assert [(t.at_ms, [(r.name, r.unit, r.value) for r in t.records]) for t in told] == [
        (at_ms, [("urn:dev:mac:0024befffe804ff1:level", "m", level)]) for at_ms, level in readings
    ]


JSON = st.recursive(
    st.integers(-(2**64), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=30) | st.dictionaries(st.integers(-300, 300), inner, max_size=5),
    max_leaves=30,
)


@given(document=JSON)
def test_cbor(document: object) -> None:
    """An independent reader finds what was written."""
    assert cbor2.loads(said.cbor(document)) == document  # type: ignore[arg-type]


def test_cbor_of_the_rfc() -> None:
    """The examples of RFC 8949, appendix A."""
    assert said.cbor([1, [2, 3], 24, 1000, -1000, 1.1, {"a": "ü"}]).hex() == (
        "87" "01" "820203" "1818" "1903e8" "3903e7" "fb3ff199999999999a" "a16161" "62c3bc"
    )  # fmt: skip


@given(at_ms=TIMES, level=LEVELS)
def test_logger(at_ms: int, level: float) -> None:
    """A document is handed on as it is."""
    (told,) = read("plain", said.logger(at_ms, level))
    document = json.loads(told.document or b"")
    assert document["site"]["level"] == {"value": round(level * 1000), "unit": "mm"}
    assert document["at"].endswith("Z")


def test_tasmota() -> None:
    """A telemetry message of a Tasmota has a local time, which dates nothing; its bare state is a word."""
    (told,) = read("plain", said.tasmota_sensor(T0, 1.234))
    assert told.document == b'{"Time":"2026-09-21T14:13:20","SR04":{"Distance":123.4}}'
    assert [read("bare", said.tasmota_power(on))[0].records[0].value for on in (True, False)] == [1.0, 0.0]


@given(level=st.integers(-10_000, 99_999).map(lambda millimetres: millimetres / 1000))
def test_esphome(level: float) -> None:
    """A bare state is its value in centimetres."""
    (told,) = read("bare", said.esphome(level))
    assert math.isclose(told.records[0].value or 0.0, level * 100, abs_tol=1e-6)


def test_esphome_without_a_value() -> None:
    """`nan` is a fault and no level."""
    assert read("bare", said.esphome(None))[0].records[0].fault == "sensor_error"


@given(readings=st.lists(st.tuples(TIMES, LEVELS), min_size=1, max_size=5))
def test_ultralight(readings: list[tuple[int, float]]) -> None:
    """Each group is a document with the time before it."""
    told = read("ultralight", said.ultralight(readings))
    assert [t.at_ms for t in told] == [at_ms for at_ms, _ in readings]
    found = [json.loads(t.document or b"") for t in told]
    assert [x["l"] for x in found] == [pytest.approx(level * 100, abs=1e-6) for _, level in readings]
    assert {x["s"] for x in found} == {"ok"}


@pytest.mark.parametrize("codec", RADIOS)
@given(at_ms=TIMES, nanoseconds=st.integers(0, 999_999), count=st.integers(0, 2**32 - 1), distance=DISTANCES)
def test_uplinks(codec: str, mbx: Profile, at_ms: int, nanoseconds: int, count: int, distance: float) -> None:
    """An uplink keeps its payload, what the server decoded, its session, its count, and its time to the millisecond."""
    session, say = RADIOS[codec]
    up = replace(UP, received_ms=at_ms, nanoseconds=nanoseconds, count=count)
    (told,) = read(codec, say(up, said.decentlab_mbx(1, distance), said.decoded(distance)))
    assert (told.session, told.number, told.at_ms) == (session, count, at_ms)
    assert decode(mbx, told.payload)["distance"] == pytest.approx(distance, abs=1e-9)
    assert json.loads(told.document or b"")["distance"]["value"] == pytest.approx(distance * 1000, abs=1e-6)


@pytest.mark.parametrize("codec", RADIOS)
def test_what_is_zero_is_not_there(codec: str) -> None:
    """Counter, port and data rate 0 are left out, as are an empty payload and what no codec decoded; zeros that a codec
    said stand. The bridge reads the same."""
    say = RADIOS[codec][1]
    payload = say(replace(UP, count=0, port=0, data_rate=0), b"")
    text = payload.decode()
    names = ("fCnt", "fPort", "dr", "data", "object", "f_cnt", "f_port", "frm_payload", "decoded_payload", "confirmed")
    assert not [name for name in names if f'"{name}":' in text]
    (told,) = read(codec, payload)
    assert (told.number, told.payload, told.document) == (0, None, None)
    (told,) = read(codec, say(replace(UP, count=0), b"\x00", {"distance": {"value": 0.0}}))
    assert (told.number, told.payload, told.document) == (0, b"\x00", b'{"distance": {"value": 0.0}}')


def test_decentlab(mbx: Profile) -> None:
    """Bytes of the examples of TheThingsNetwork/lorawan-devices, vendor/decentlab/dl-mbx-codec.yaml."""
    assert said.decentlab_mbx(0x012F, 1.234).hex().upper() == "02012F000304D200010BB1"
    assert said.decentlab_mbx(0x012F, None).hex().upper() == "02012F00020BB1"
    assert decode(mbx, said.decentlab_mbx(1, None))["distance"] == "no_answer"
    assert decode(mbx, said.decentlab_mbx(1, 99.0))["distance"] == "no_echo"

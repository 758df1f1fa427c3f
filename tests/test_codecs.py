"""What messages of others say: each codec by messages of its format's own documentation, and by any bytes at all."""

from __future__ import annotations

import json

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.codecs import Record, Told, Unreadable, bare, chirpstack, records, tts, ultralight
from gateway.errors import FaultCode
from gateway.foreign import CODECS

# ChirpStack v4, documentation, Integrations, Event types, `up`, without radio metadata. Its fCnt is 0 and absent.
CHIRPSTACK = {
    "deduplicationId": "3ac7e3c4-4401-4b8d-9386-a5c902f9202d",
    "time": "2022-07-18T09:34:15.775023242+00:00",
    "deviceInfo": {"deviceName": "Test device", "devEui": "0101010101010101", "tags": {"key": "value"}},
    "devAddr": "00189440",
    "dr": 1,
    "fPort": 1,
    "data": "qg==",
    "rxInfo": [{"gatewayId": "0016c001f153a14c", "rssi": -48, "snr": 9}],
}
# The Things Stack v3, documentation, Data formats, uplink messages; radio metadata left out.
TTS = {
    "end_device_ids": {"device_id": "dev1", "dev_eui": "0004A30B001C0530", "dev_addr": "00BCB929"},
    "received_at": "2020-02-12T15:15:45.787480761Z",
    "uplink_message": {
        "session_key_id": "AXA50tHUZqRYVPCRvs2tFw==",
        "f_cnt": 1,
        "f_port": 1,
        "frm_payload": "gkHe",
        "decoded_payload": {"temperature": 1.0, "luminosity": 0.64},
        "received_at": "2020-02-12T15:15:45.580Z",
    },
}


def as_bytes(of: object) -> bytes:
    return json.dumps(of).encode()


def test_chirpstack() -> None:
    """An uplink is its payload, the network server's time in milliseconds, and its device's count: 0 where absent."""
    (told,) = chirpstack.read(as_bytes(CHIRPSTACK))
    assert told == Told(payload=b"\xaa", at_ms=1_658_136_855_775, session="00189440", number=0)
    (told,) = chirpstack.read(as_bytes(CHIRPSTACK | {"fCnt": 7, "object": {"level": 1.5}}))
    assert (told.number, told.document) == (7, b'{"level": 1.5}')


def test_the_things_stack() -> None:
    """So is one of The Things Stack; its session is named by its key."""
    (told,) = tts.read(as_bytes(TTS))
    assert told == Told(
        payload=b"\x82\x41\xde",
        document=b'{"temperature": 1.0, "luminosity": 0.64}',
        at_ms=1_581_520_545_580,
        session="AXA50tHUZqRYVPCRvs2tFw",
        number=1,
    )
    up = {k: v for k, v in TTS["uplink_message"].items() if k not in ("f_cnt", "frm_payload", "decoded_payload")}  # type: ignore[attr-defined]
    (told,) = tts.read(as_bytes(TTS | {"uplink_message": up}))
    assert (told.number, told.payload, told.document) == (0, None, None)


@pytest.mark.parametrize(
    ("payload", "documents"),
    [
        (b"t|15|k|abc", [({"t": 15.0, "k": "abc"}, None)]),  # manual, Measure payload representation
        (b"gps|1.2/3.4#gps|5.6/7.8", [({"gps": "1.2/3.4"}, None), ({"gps": "5.6/7.8"}, None)]),
        (b"2016-06-13T00:35:30Z|lat|42|ion|-3.3", [({"lat": 42.0, "ion": -3.3}, 1_465_778_130_000)]),
    ],
)
def test_ultralight(payload: bytes, documents: list[tuple[dict[str, object], int | None]]) -> None:
    """Each group is a document; a time stands before the group that it dates."""
    assert [(json.loads(t.document or b""), t.at_ms) for t in ultralight.read(payload)] == documents


SENML = [
    # RFC 8428, section 5.1.3: two values at one time and one five seconds before, names and units by their base.
    {
        "bn": "urn:dev:ow:10e2073a0108006:",
        "bt": 1.276020076001e09,
        "bu": "A",
        "bver": 5,
        "n": "voltage",
        "u": "V",
        "v": 120.1,
    },
    {"n": "current", "t": -5, "v": 1.2},
    {"n": "current", "v": 1.7},
]


@pytest.mark.parametrize("name", ["senml_json", "senml_cbor"])
def test_senml(name: str) -> None:
    """Names, units and times are resolved as the RFC says; what was measured at one time is one reading."""
    labels = {"bn": -2, "bt": -3, "bu": -4, "bver": -1, "n": 0, "u": 1, "v": 2, "t": 6}
    payload = (
        as_bytes(SENML) if name == "senml_json" else cbor2.dumps([{labels[k]: v for k, v in x.items()} for x in SENML])
    )
    now, before = CODECS[name].read(payload)
    urn = "urn:dev:ow:10e2073a0108006:"
    assert now.at_ms == 1_276_020_076_001
    assert now.records == (Record(f"{urn}voltage", "V", 120.1), Record(f"{urn}current", "A", 1.7))
    assert (before.at_ms, before.records) == (1_276_020_071_001, (Record(f"{urn}current", "A", 1.2),))


def test_senml_without_a_time() -> None:
    """A value without a time is of now, one with a small time of so long ago; a text that is a fault is one."""
    found = records.read_json(
        as_bytes([{"n": "a", "v": 1}, {"n": "b", "vb": True, "t": -60}, {"n": "c", "vs": "no_echo", "t": -60}])
    )
    assert found[0] == Told(records=(Record("a", "", 1.0),))
    assert (found[1].at_ms, found[1].age_ms) == (None, 60_000)
    assert found[1].records == (Record("b", "", 1.0), Record("c", "", None, FaultCode.NO_ECHO))


@pytest.mark.parametrize(
    ("payload", "value", "fault"),
    [
        (b"1.25", 1.25, None),
        (b" -3e-2 ", -0.03, None),
        (b"ON", 1.0, None),
        (b"OFF", 0.0, None),
        (b"nan", None, FaultCode.SENSOR_ERROR),
        (b"unavailable", None, FaultCode.SENSOR_ERROR),
    ],
)
def test_bare(payload: bytes, value: float | None, fault: FaultCode | None) -> None:
    """A message that is its value: a number, a word for on and off, or that there is none."""
    assert bare.read(payload) == (Told(records=(Record("", "", value, fault),)),)


@pytest.mark.parametrize(
    ("codec", "payload"),
    [
        ("chirpstack", b"{"),
        ("chirpstack", b"[]"),
        ("chirpstack", as_bytes({"time": "2022-07-18T09:34:15Z"})),
        ("chirpstack", as_bytes(CHIRPSTACK | {"data": "q"})),
        ("chirpstack", as_bytes(CHIRPSTACK | {"fCnt": -1})),
        ("chirpstack", as_bytes(CHIRPSTACK | {"fCnt": True})),
        ("chirpstack", as_bytes(CHIRPSTACK | {"time": "2022-07-18 09:34"})),
        ("chirpstack", as_bytes(CHIRPSTACK | {"time": "2022-13-18T09:34:15Z"})),
        ("tts", as_bytes({"join_accept": {}})),
        ("tts", as_bytes(TTS | {"uplink_message": 3})),
        ("ultralight", b"|1"),
        ("ultralight", b"t|1|t|2"),
        ("ultralight", b"yesterday|t|2"),
        ("ultralight", b"\xff|1"),
        ("senml_json", b"[]"),
        ("senml_json", as_bytes([{"n": "a", "v": "1"}])),
        ("senml_json", as_bytes([{"n": "a", "v": 1, "x_": 1}])),
        ("senml_json", b'[{"n": "a", "v": NaN}]'),
        ("senml_json", as_bytes([{"n": "a", "v": 1, "t": 1e300}])),
        ("senml_cbor", b"\x9f"),
        ("senml_cbor", cbor2.dumps({"n": 1})),
        ("bare", b"1,25"),
        ("bare", b"\xff"),
    ],
)
def test_unreadable(codec: str, payload: bytes) -> None:
    """What does not have the form says what is wrong, and never what stood there."""
    with pytest.raises(Unreadable):
        CODECS[codec].read(payload)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
LABELS = st.sampled_from(["bn", "bt", "bu", "bv", "n", "u", "v", "vs", "vb", "vd", "s", "t", "ut", "bver"])
PACKS = st.lists(st.dictionaries(LABELS, JSON, max_size=5), max_size=5)


def read(codec: str, payload: bytes) -> None:
    try:
        told = CODECS[codec].read(payload)
    except Unreadable:
        return
    for x in told:
        assert x.at_ms is None or abs(x.at_ms) < 2**63
        assert all((r.value is None) != (r.fault is None) for r in x.records)


@pytest.mark.parametrize("codec", CODECS)
@given(payload=st.binary(max_size=300))
def test_no_bytes_crash_a_codec(codec: str, payload: bytes) -> None:
    """Any bytes are read or unreadable."""
    read(codec, payload)


@given(packs=PACKS)
def test_no_senml_crashes(packs: list[dict[str, object]]) -> None:
    """Any document with SenML's labels is read or unreadable, in both forms."""
    read("senml_json", json.dumps(packs).encode())
    read("senml_cbor", cbor2.dumps(packs))


@pytest.mark.parametrize(("codec", "good"), [("chirpstack", CHIRPSTACK), ("tts", TTS)])
@given(data=st.data())
def test_no_uplink_crashes(codec: str, good: dict[str, object], data: st.DataObject) -> None:
    """An uplink of which any part is replaced by anything is read or unreadable."""
    key = data.draw(st.sampled_from(sorted(good)))
    found = dict(good) | {key: data.draw(JSON)}
    inner = found.get("uplink_message")
    if isinstance(inner, dict) and inner:
        part = data.draw(st.sampled_from(sorted(inner)))
        found["uplink_message"] = inner | {part: data.draw(JSON)}
    read(codec, as_bytes(found))


@pytest.mark.parametrize("codec", ["senml_json", "chirpstack", "tts", "senml_cbor"])
@pytest.mark.parametrize("payload", [b"[" * 60_000, b"\x81" * 60_000, b'{"a":' * 10_000, b"9" * 60_000])
def test_depth_and_length_are_bounded(codec: str, payload: bytes) -> None:
    """Brackets without end and numbers of thousands of digits are unreadable."""
    with pytest.raises(Unreadable):
        CODECS[codec].read(payload)


def test_records_are_bounded() -> None:
    """A message of more readings than anybody takes in one is unreadable."""
    with pytest.raises(Unreadable):
        records.read_json(as_bytes([{"n": "a", "v": i, "t": -i} for i in range(1001)]))

"""Messages of devices that are not ours, written as their own specifications say. Pure; shares nothing with the
gateway, so that it can share no mistake with what reads them (a test holds that).

| function | after |
|---|---|
| `senml_json` `senml_cbor` | RFC 8428; the bytes of CBOR after RFC 8949, by hand |
| `logger` | a JSON document with its own time, of nobody in particular |
| `tasmota_sensor` `tasmota_power` | Tasmota, documentation, MQTT: `tele/<topic>/SENSOR`, `stat/<topic>/POWER` |
| `esphome` | ESPHome, documentation, MQTT client component: the state alone |
| `ultralight` | FIWARE IoT Agent for UltraLight 2.0, User & Programmers Manual, measures |
| `chirpstack` | ChirpStack v4, documentation, Integrations, Event types, `up`; proto3's JSON mapping |
| `things_stack` | The Things Stack v3, documentation, Data formats, uplink messages; proto3's JSON mapping |
| `decentlab_mbx` | Decentlab DL-MBX, payload of protocol version 2 |

Times are in milliseconds since 1970, levels and distances in metres.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Reading = tuple[int, float]  # when, metres

# RFC 8428, table 4: labels of CBOR.
_LABELS = {"bn": -2, "bt": -3, "bu": -4, "n": 0, "u": 1, "v": 2, "t": 6}


@dataclass(frozen=True, slots=True)
class Uplink:
    """How a message came by radio. `session` is 16 bytes, new with each join as `dev_addr` is; `count` is the frame
    counter. `received_ms` and `nanoseconds` of its millisecond: when the network server had it from `gateway` (an EUI).
    `transmission` names what was sent once, through however many gateways it was heard."""

    device: str
    dev_eui: str
    dev_addr: str
    session: bytes
    count: int
    received_ms: int
    gateway: str
    transmission: str
    port: int = 1
    data_rate: int = 3
    nanoseconds: int = 0


# --- SenML --------------------------------------------------------------------------------------------------------


def _pack(name: str, readings: Sequence[Reading]) -> list[dict[str, Any]]:
    """The newest reading is the base, the others stand so many seconds before it (section 4.5)."""
    base_ms = readings[-1][0]
    records = [{"n": "level", "v": level, "t": (at_ms - base_ms) / 1000} for at_ms, level in readings]
    for record in records:
        if not record["t"]:
            del record["t"]
    return [{"bn": f"urn:dev:mac:{name}:", "bt": base_ms / 1000, "bu": "m"} | records[0], *records[1:]]


def senml_json(name: str, readings: Sequence[Reading]) -> bytes:
    return json.dumps(_pack(name, readings)).encode()


def senml_cbor(name: str, readings: Sequence[Reading]) -> bytes:
    return cbor([{_LABELS[key]: value for key, value in record.items()} for record in _pack(name, readings)])


def cbor(of: int | float | str | list[Any] | dict[Any, Any]) -> bytes:
    """RFC 8949, section 3: of definite length, integers as short as they go, other numbers in eight bytes."""
    if isinstance(of, float):
        return b"\xfb" + struct.pack(">d", of)
    if isinstance(of, int):
        return _head(0, of) if of >= 0 else _head(1, -1 - of)
    if isinstance(of, str):
        return _head(3, len(of.encode())) + of.encode()
    if isinstance(of, list):
        return _head(4, len(of)) + b"".join(map(cbor, of))
    return _head(5, len(of)) + b"".join(cbor(key) + cbor(value) for key, value in of.items())


def _head(major: int, argument: int) -> bytes:
    if argument < 24:
        return bytes([major << 5 | argument])
    size, form = next((s, f) for s, f in ((1, ">B"), (2, ">H"), (4, ">I"), (8, ">Q")) if argument < 1 << 8 * s)
    return bytes([major << 5 | 23 + size.bit_length()]) + struct.pack(form, argument)


# --- documents and bare values ------------------------------------------------------------------------------------


def logger(at_ms: int, level: float) -> bytes:
    """Millimetres, and the time with its zone."""
    said = {"site": {"level": {"value": round(level * 1000), "unit": "mm"}, "supply": 12.4}, "at": _time(at_ms, 3)}
    return json.dumps(said).encode()


def tasmota_sensor(at_ms: int, distance: float) -> bytes:
    """An HC-SR04 at a Tasmota, centimetres with one decimal. Its `Time` is local and without a zone."""
    time = _time(at_ms, 0).removesuffix("Z")
    return json.dumps({"Time": time, "SR04": {"Distance": round(distance * 100, 1)}}, separators=(",", ":")).encode()


def tasmota_power(on: bool) -> bytes:
    return b"ON" if on else b"OFF"


def esphome(level: float | None) -> bytes:
    """Centimetres with `accuracy_decimals: 1`; a sensor without a value is `nan`."""
    return b"nan" if level is None else f"{level * 100:.1f}".encode()


def ultralight(readings: Sequence[Reading]) -> bytes:
    """A group for each reading, its time before it; `l` in centimetres, `s` a text."""
    return "#".join(f"{_time(at_ms, 3)}|l|{level * 100:.1f}|s|ok" for at_ms, level in readings).encode()


# --- radio --------------------------------------------------------------------------------------------------------


def decentlab_mbx(device: int, distance: float | None, battery: float = 2.993) -> bytes:
    """Version, device, flags, and what the flags say is there: distance in millimetres and a count of valid samples,
    battery in millivolts. A sensor that did not answer leaves its part away."""
    head = b"\x02" + struct.pack(">HH", device, 2 if distance is None else 3)
    measured = b"" if distance is None else struct.pack(">HH", min(65535, round(distance * 1000)), 1)
    return head + measured + struct.pack(">H", round(battery * 1000))


def decoded(distance: float) -> dict[str, Any]:
    """What the maker's decoder makes of it at the network server: numbers of a protobuf Struct, which are floats."""
    return {
        "distance": {"value": float(round(distance * 1000)), "unit": "mm"},
        "number_of_valid_samples": {"value": 1.0},
    }


def chirpstack(up: Uplink, frame: bytes, said: Mapping[str, Any] | None = None) -> bytes:
    """`frame` is what the sensor sent; `said` what a codec at the server made of it, where it has one."""
    message: dict[str, Any] = {
        "deduplicationId": up.transmission,
        "time": _time(up.received_ms, 9, up.nanoseconds).replace("Z", "+00:00"),
        "deviceInfo": {
            "tenantName": "ChirpStack",
            "applicationName": "gauges",
            "deviceProfileName": "DL-MBX",
            "deviceName": up.device,
            "devEui": up.dev_eui,
        },
        "devAddr": up.dev_addr,
        "adr": False,
        "dr": up.data_rate,
        "fCnt": up.count,
        "fPort": up.port,
        "confirmed": False,
        "data": base64.b64encode(frame).decode(),
        "rxInfo": [{"gatewayId": up.gateway, "uplinkId": up.count + 1, "rssi": -97, "snr": 0.0, "context": "E3OWOQ=="}],
        "txInfo": {
            "frequency": 923200000,
            "modulation": {"lora": {"bandwidth": 125000, "spreadingFactor": 9, "codeRate": "CR_4_5"}},
        },
    }
    return _proto(message, "object", said)


def things_stack(up: Uplink, frame: bytes, said: Mapping[str, Any] | None = None) -> bytes:
    """Likewise. The Application Server has it some milliseconds after the Network Server, whose time is the earlier."""
    message: dict[str, Any] = {
        "end_device_ids": {
            "device_id": up.device,
            "application_ids": {"application_id": "gauges"},
            "dev_eui": up.dev_eui.upper(),
            "dev_addr": up.dev_addr.upper(),
        },
        "correlation_ids": [f"gs:uplink:{up.transmission}"],
        "received_at": _time(up.received_ms + 207, 9, up.nanoseconds),
        "uplink_message": {
            "session_key_id": base64.b64encode(up.session).decode(),
            "f_port": up.port,
            "f_cnt": up.count,
            "frm_payload": base64.b64encode(frame).decode(),
            "decoded_payload": {},
            "rx_metadata": [{"gateway_ids": {"gateway_id": "roof", "eui": up.gateway.upper()}, "rssi": -97, "snr": 0}],
            "settings": {
                "data_rate": {"lora": {"bandwidth": 125000, "spreading_factor": 12 - up.data_rate}},
                "frequency": "923200000",
            },
            "received_at": _time(up.received_ms, 9, up.nanoseconds),
            "confirmed": False,
            "consumed_airtime": "0.205824s",
        },
    }
    return _proto(message, "uplink_message/decoded_payload", said)


def _proto(message: dict[str, Any], place: str, said: Mapping[str, Any] | None) -> bytes:
    """proto3's JSON mapping as both servers use it: a field of 0, false, or without content is not there. What a codec
    said is a Struct and keeps its zeros."""
    out = _filled(message)
    if said is not None:
        *way, last = place.split("/")
        inner = out
        for key in way:
            inner = inner.setdefault(key, {})
        inner[last] = dict(said)
    return json.dumps(out).encode()


def _filled(of: Any) -> Any:
    if isinstance(of, dict):
        return {key: _filled(value) for key, value in of.items() if value not in (0, "", False, [], {})}
    return [_filled(item) for item in of] if isinstance(of, list) else of


def _time(at_ms: int, digits: int, nanoseconds: int = 0) -> str:
    """RFC 3339 in UTC, cut to so many digits of a second."""
    whole = datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f"{at_ms % 1000:03}{nanoseconds:06}"[:digits]
    return f"{whole}.{fraction}Z" if fraction else f"{whole}Z"

"""Simulated devices of others, one for each format, and what goes wrong with them: which messages they send, in which
order, and what should become of each. Pure; the seed decides everything.

A device measures the water every `interval_ms`. A fault is put upon one reading, or a few in a row; no two meet.
Devices that date their own messages may be wrong about the time; a radio is dated by its network server, and counts.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from . import foreignformats as said
from .foreignformats import Uplink

Fate = Literal["accepted", "duplicate", "rejected", "lost"]
HEIGHT = 6.0  # of sensors that measure the distance down to the water, metres above the gauge's zero
WET = 1.3  # the level at which a float switch closes, metres
SLOT = 4  # readings between the places where faults begin; none lasts longer
HELD = 2 * SLOT  # readings by which a late one comes late
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Format:
    """`dated`: by whom its messages are, nobody where the arrival does it. `radio`: it counts, and its server says
    what it decoded or hands on the frame. `gathers`: several readings may stand in one message. `channel` is what it
    measures. `whole`: every part of a message is one as well, so that a cut is seen by nobody."""

    topic: str
    dated: Literal["device", "server", ""] = ""
    radio: Literal["decoded", "raw", ""] = ""
    gathers: bool = False
    channel: str = "water_level"
    no_value: str = ""  # the fault as which the bridge keeps a reading without a value; "": it cannot say so
    whole: bool = False
    distance: bool = False  # down to the water, from HEIGHT


FORMATS = {
    "senml_json": Format("senml/json/{device}", "device", gathers=True),
    "senml_cbor": Format("senml/cbor/{device}", "device", gathers=True),
    "logger": Format("loggers/{device}", "device"),
    "ultralight": Format("/ul/4jggokgpepnvsb2uv4s40d59ov/{device}/attrs", "device", gathers=True),
    "tasmota_sensor": Format("tele/{device}/SENSOR", distance=True),
    "tasmota_power": Format("stat/{device}/POWER", channel="float_switch", whole=True),
    "esphome": Format("{device}/sensor/level/state", no_value="sensor_error", whole=True),
    "chirpstack_decoded": Format("application/17c82e96/device/{device}/event/up", "server", "decoded", distance=True),
    "chirpstack_raw": Format(
        "application/52f14cd4/device/{device}/event/up", "server", "raw", no_value="no_answer", distance=True
    ),
    "things_stack_decoded": Format("v3/gauges@decoded/devices/{device}/up", "server", "decoded", distance=True),
    "things_stack_raw": Format(
        "v3/gauges@raw/devices/{device}/up", "server", "raw", no_value="no_answer", distance=True
    ),
}


@dataclass(frozen=True, slots=True)
class Row:
    """A reading as it should stand in the store: metres, or 0 and 1; a fault instead. `at_ms` None: of its arrival.
    `right` is what the water was."""

    at_ms: int | None
    value: float | None
    right: float
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One message, in the order in which it is sent; one that was `lost` is not. `code` says why it is rejected,
    `samples` how many readings the bridge counts in it, `rows` what of it should be stored."""

    device: str
    format: str
    topic: str
    payload: bytes
    sent_ms: int
    fault: str
    fate: Fate
    code: str = ""
    samples: int = 1
    rows: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True)
class Sender:
    """A device with all that it will send. `name` is its station's, `address` the name that its topics have."""

    name: str
    format: str
    eui: str
    messages: tuple[Message, ...]

    @property
    def address(self) -> str:
        return _address(self.name, self.format, self.eui)


def _address(name: str, format_: str, eui: str) -> str:
    return eui if format_.startswith("chirpstack") else f"{name}-01"


@dataclass(slots=True)
class _Reading:
    """A reading on its way into a message; faults change it before."""

    at_ms: int
    right: float
    level: float | None
    fault: str = ""
    count: int = 0
    dev_addr: str = ""
    session: bytes = b""
    stated_ms: int | None = None  # what a wrong clock showed
    zeros: bool = False
    empty: bool = False


@dataclass(slots=True)
class _Device:
    """What its faults may need: the readings, and messages in their order, each with the place of its reading."""

    name: str
    format: str
    rng: random.Random
    readings: list[_Reading]
    eui: str
    sent: list[tuple[float, Message]] = field(default_factory=list)

    @property
    def kind(self) -> Format:
        return FORMATS[self.format]


# --- what a message of a reading is -------------------------------------------------------------------------------


def _payload(device: _Device, readings: Sequence[_Reading], delay_ms: int = 0, gateway: int = 0) -> bytes:
    """`readings` go into one message; more than one only where the format gathers."""
    last = readings[-1]
    if device.kind.radio:
        return _uplink(device, last, delay_ms, gateway)
    level = last.level
    stated = [(r.at_ms if r.stated_ms is None else r.stated_ms, r.level or 0.0) for r in readings]
    encoders: dict[str, Callable[[], bytes]] = {
        "senml_json": lambda: said.senml_json(device.eui, stated),
        "senml_cbor": lambda: said.senml_cbor(device.eui, stated),
        "ultralight": lambda: said.ultralight(stated),
        "logger": lambda: said.logger(*stated[-1]),
        "tasmota_sensor": lambda: said.tasmota_sensor(last.at_ms, HEIGHT - (level or 0.0)),
        "tasmota_power": lambda: said.tasmota_power((level or 0.0) >= WET),
        "esphome": lambda: said.esphome(level),
    }
    return encoders[device.format]()


def _uplink(device: _Device, reading: _Reading, delay_ms: int, gateway: int) -> bytes:
    stamp = random.Random(f"{device.eui}/{reading.dev_addr}/{reading.at_ms}")  # one transmission, by any gateway
    up = Uplink(
        f"{device.name}-01",
        device.eui,
        reading.dev_addr,
        reading.session,
        reading.count,
        reading.at_ms + delay_ms,
        f"0016c001f153a1{gateway:02x}",
        f"3ac7e3c4-4401-4b8d-9386-{stamp.getrandbits(48):012x}",
        port=0 if reading.zeros else 1,
        data_rate=0 if reading.zeros else 3,
        nanoseconds=stamp.randrange(1_000_000),
    )
    distance = None if reading.level is None else HEIGHT - reading.level
    frame = b"" if reading.empty else said.decentlab_mbx(0x012F, distance)
    if reading.fault == "short_frame":
        frame = frame[: stamp.randrange(1, 7)]  # behind them the distance is there
    object_ = said.decoded(distance) if device.kind.radio == "decoded" and distance is not None else None
    say = said.chirpstack if device.format.startswith("chirpstack") else said.things_stack
    return say(up, frame, None if reading.empty else object_)


def _row(device: _Device, reading: _Reading) -> Row:
    at_ms = reading.at_ms if device.kind.dated else None
    if device.format == "tasmota_power":
        return Row(at_ms, float((reading.level or 0.0) >= WET), float(reading.right >= WET))
    fault = ""
    if reading.fault == "short_frame":
        fault = "malformed"
    elif reading.level is None:
        fault = device.kind.no_value
    elif device.kind.radio == "raw" and reading.level < HEIGHT - 9.998:
        fault = "no_echo"
    return Row(at_ms, None if fault else reading.level, reading.right, fault)


def _message(device: _Device, readings: Sequence[_Reading], sent_ms: int) -> Message:
    kind, last = device.kind, readings[-1]
    topic = kind.topic.replace("{device}", _address(device.name, device.format, device.eui))
    rows = () if last.empty else tuple(_row(device, r) for r in readings)
    payload = _payload(device, readings)
    return Message(
        device.name, device.format, topic, payload, sent_ms, last.fault, "accepted", samples=len(readings), rows=rows
    )


# --- the catalogue ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fault:
    """`upon` changes readings before anything is sent, from a place on; `sent` the messages of that reading."""

    sentence: str
    shown_by: Callable[[Format], bool] = lambda _: True
    upon: Callable[[_Device, int], None] | None = None
    sent: Callable[[_Device, Message, int], list[tuple[float, Message]]] | None = None


def _refused(message: Message, payload: bytes, code: str) -> Message:
    return replace(message, payload=payload, fate="rejected", code=code, samples=1, rows=())


def _twice(device: _Device, message: Message, place: int) -> list[tuple[float, Message]]:
    """Of a radio by another gateway, some milliseconds later. Who neither counts nor dates says the same once more."""
    kind, again = device.kind, message
    if kind.radio:
        delay_ms = device.rng.randrange(5, 400)
        again = replace(message, payload=_payload(device, [device.readings[place]], delay_ms, gateway=0x4D))
    if kind.dated:
        again = replace(again, fate="duplicate", rows=())
    return [(place, message), (place + device.rng.choice((0.1, 1.1)), again)]


def _lost(device: _Device, message: Message, place: int) -> list[tuple[float, Message]]:
    return [(place, replace(message, payload=b"", fate="lost", samples=0, rows=()))]


def _after_the_next(device: _Device, message: Message, place: int) -> list[tuple[float, Message]]:
    return [(place + 1.5, message)]


def _garbage(device: _Device, message: Message, place: int) -> list[tuple[float, Message]]:
    """Begins with a byte that is neither text nor a CBOR item."""
    payload = b"\xff\x00" + device.rng.randbytes(device.rng.randrange(6, 60))
    return [(place, _refused(message, payload, "bad_uplink"))]


def _cut(device: _Device, message: Message, place: int) -> list[tuple[float, Message]]:
    """Of UltraLight within the time: behind it, any part is a message as well."""
    end = message.payload.index(b"|") if device.format == "ultralight" else len(message.payload)
    return [(place, _refused(message, message.payload[: device.rng.randrange(1, end)], "bad_uplink"))]


def _late(device: _Device, message: Message, place: int) -> list[tuple[float, Message]]:
    """Two readings, hours after they were made: in one message where the format gathers."""
    first, second = device.readings[place], device.readings[place + 1]
    sent_ms = device.readings[min(place + HELD, len(device.readings) - 1)].at_ms
    groups = [[first, second]] if device.kind.gathers else [[first], [second]]
    return [(place + HELD + 0.5 + i / 10, _message(device, group, sent_ms)) for i, group in enumerate(groups)]


def _unset(device: _Device, message: Message, place: int) -> list[tuple[float, Message]]:
    return [(place, _refused(message, message.payload, "undated"))]


def _ahead(device: _Device, message: Message, place: int) -> list[tuple[float, Message]]:
    return [(place, _refused(message, message.payload, "time_future"))]


def _set(**changes: Any) -> Callable[[_Device, int], None]:
    def change(device: _Device, place: int) -> None:
        for key, value in changes.items():
            setattr(device.readings[place], key, value)

    return change


def _stuck(device: _Device, place: int) -> None:
    for i in range(place, place + 3):
        device.readings[i].level, device.readings[i].fault = device.readings[place - 1].level, "stuck"


def _out_of_range(device: _Device, place: int) -> None:
    device.readings[place].level = HEIGHT - 65.0 if device.kind.radio else 99.0


def _of_1970(device: _Device, place: int) -> None:
    device.readings[place].stated_ms = 1_000 * device.rng.randrange(60, 86_400)


def _of_tomorrow(device: _Device, place: int) -> None:
    device.readings[place].stated_ms = device.readings[-1].at_ms + DAY_MS + device.readings[place].at_ms % DAY_MS


def _both(device: _Device, place: int) -> None:
    device.readings[place + 1].fault = "late"


def _counts_anew(joins: bool) -> Callable[[_Device, int], None]:
    def change(device: _Device, place: int) -> None:
        _new_session(device, place, joins)

    return change


def _new_session(device: _Device, place: int, joins: bool) -> None:
    before = device.readings[place - 1]
    dev_addr = f"{device.rng.getrandbits(32):08x}" if joins else before.dev_addr
    session = device.rng.randbytes(16) if joins else before.session
    for count, reading in enumerate(device.readings[place:]):
        reading.count, reading.dev_addr, reading.session = count, dev_addr, session


def _radio(kind: Format) -> bool:
    return bool(kind.radio)


def _own_time(kind: Format) -> bool:
    return kind.dated == "device"


CATALOGUE: dict[str, Fault] = {
    "duplicated": Fault("the same message comes again; of a radio through a second gateway", sent=_twice),
    "lost": Fault("a message never comes; a radio's counter has a gap", sent=_lost),
    "out_of_order": Fault("a message comes after the next one", lambda f: f.dated != "", sent=_after_the_next),
    "garbage": Fault("random bytes come instead", sent=_garbage),
    "cut": Fault("a message ends too early", lambda f: not f.whole, sent=_cut),
    "stuck": Fault("three times the reading before", upon=_stuck),
    "out_of_range": Fault("a level that no sensor measures", lambda f: f.channel == "water_level", upon=_out_of_range),
    "late": Fault("two readings come hours later, with their time", lambda f: f.dated != "", _both, _late),
    "unset": Fault("the device's clock shows 1970", _own_time, _of_1970, _unset),
    "ahead": Fault("the device's clock is a day ahead", _own_time, _of_tomorrow, _ahead),
    "no_value": Fault("the sensor has no value, and says so", lambda f: f.no_value != "", _set(level=None)),
    "short_frame": Fault("the radio's frame ends too early", lambda f: f.radio == "raw"),
    "empty": Fault("an uplink without a payload, for the radio's own sake", _radio, _set(empty=True)),
    "zeros": Fault("port and data rate are 0, and not in the message", _radio, _set(zeros=True)),
    "rejoin": Fault("the radio joins anew: another session, its counter from 0", _radio, _counts_anew(joins=True)),
    "reset": Fault("the radio's counter begins at 0 in the same session", _radio, _counts_anew(joins=False)),
}


def faults_of(format_: str) -> list[str]:
    """Those that a format can show."""
    return [name for name, fault in CATALOGUE.items() if fault.shown_by(FORMATS[format_])]


def least_readings(faults: int) -> int:
    """How many readings so many faults need."""
    return SLOT * (faults + 1) + HELD


def plan(format_: str, faults: Sequence[str], readings: int, until_ms: int, interval_ms: int, seed: int = 1) -> Sender:
    """A device of that format and what it sends, its last reading made at `until_ms`. Of the faults those that the
    format can show; a name may stand more than once. Raises ValueError where they find no room, KeyError for an
    unknown name."""
    faults = [name for name in faults if CATALOGUE[name].shown_by(FORMATS[format_])]
    if readings < least_readings(len(faults)):
        least = least_readings(len(faults))
        raise ValueError(f"{len(faults)} faults of {format_} need {least} readings, and there are {readings}")
    rng = random.Random(f"{seed}/{format_}")
    times = range(until_ms - (readings - 1) * interval_ms, until_ms + 1, interval_ms)
    device = _Device(
        format_.replace("_", "-"),
        format_,
        rng,
        [_Reading(at_ms, level, level) for at_ms, level in zip(times, _water(readings, rng), strict=True)],
        f"a84041{random.Random(format_).getrandbits(40):010x}",  # of the device, whatever happens to it
    )
    _first_session(device)
    slots = rng.sample(range(1, (readings - HELD) // SLOT), len(faults))
    upon = {SLOT * slot: name for slot, name in zip(slots, faults, strict=True)}
    for place, name in sorted(upon.items()):
        device.readings[place].fault = name
        change = CATALOGUE[name].upon
        if change:
            change(device, place)
    for place, reading in enumerate(device.readings):
        _send(device, place, reading, place in upon)
    messages = tuple(message for _, message in sorted(device.sent, key=lambda x: x[0]))
    return Sender(device.name, format_, device.eui, messages)


def _send(device: _Device, place: int, reading: _Reading, begins: bool) -> None:
    message = _message(device, [reading], reading.at_ms)
    change = CATALOGUE[reading.fault].sent if reading.fault else None
    if change and begins:
        device.sent += change(device, message, place)
    elif not change:
        device.sent.append((place, message))  # a fault's second reading went with its first


def _first_session(device: _Device) -> None:
    """A radio has counted for a while before anybody listens."""
    dev_addr, session, count = f"{device.rng.getrandbits(32):08x}", device.rng.randbytes(16), device.rng.randrange(500)
    for i, reading in enumerate(device.readings):
        reading.dev_addr, reading.session, reading.count = dev_addr, session, count + i


def _water(readings: int, rng: random.Random) -> list[float]:
    """A small flood, in millimetres: no two readings in a row are the same."""
    crest, height = readings * rng.uniform(0.4, 0.7), rng.uniform(0.8, 2.0)
    smooth = (0.6 + height * math.exp(-(((i - crest) / (readings / 5)) ** 2)) for i in range(readings))
    return [round(level, 2) + (i % 2) / 1000 for i, level in enumerate(smooth)]

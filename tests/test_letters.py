"""Dead letters: which station each speaks of, and what a person is told to do about it."""

from __future__ import annotations

import msgspec
import pytest

from gateway import letters
from gateway.errors import RejectCode
from gateway.letters import Letter
from tests import world
from tests.world import DEVICE, LOG, STATION, T0, TENANT

REGISTRY = world.registry(world.station(), world.station("other", "other-01"))


def letter(code: RejectCode, detail: str = "", payload: bytes | None = b"", kind: str = "data") -> Letter:
    topic = f"suimon/v1/{TENANT}/{DEVICE}/{kind}"
    return Letter(1, TENANT, DEVICE, topic, code, detail, payload, len(payload or b""), T0, None, None, 0, 1)


def named(station: str, unit: str = "m") -> bytes:
    return b'[{"bn":"%s/","n":"water_level","u":"%s","v":1,"bt":1764000000,"log":"a","seq":1}]' % (
        station.encode(),
        unit.encode(),
    )


REMEDIES = [
    (
        letter(RejectCode.UNKNOWN_CHANNEL, f"{STATION}/rain"),
        f"stations.yaml, station {STATION}: add channel 'rain' (with its interval, and its quantity where the name is "
        f"none), or correct the channel in the edge.yaml of '{DEVICE}'. It has: water_level, battery_voltage",
    ),
    (
        letter(RejectCode.UNKNOWN_CHANNEL, f"{DEVICE}/shoes"),
        "'shoes' is not one of a device's own channels (spool_depth,",
    ),
    (
        letter(RejectCode.WRONG_UNIT, "h for water_level", named(STATION, "h")),
        f"{STATION}/water_level takes m, cm, mm; the device sent 'h'. Correct the unit at the device",
    ),
    (letter(RejectCode.WRONG_UNIT, "h for rain", None), "correct the unit at the device"),
    (
        letter(RejectCode.FOREIGN_STATION, "other belongs to other-01", named("other")),
        "stations.yaml, station other: it belongs to device 'other-01', and 'kasuga-01' sent for it",
    ),
    (
        letter(RejectCode.UNKNOWN_STATION, "nowhere", named("nowhere")),
        f"stations.yaml: add station 'nowhere' with 'device: {DEVICE}', or let the device publish as a station that it "
        f"serves ({STATION})",
    ),
    (
        letter(RejectCode.UNKNOWN_DEVICE, "t/d", named(STATION)),
        f"stations.yaml, station {STATION}: its device is 'kasuga-01'. Where",
    ),
    (letter(RejectCode.UNKNOWN_DEVICE, "t/d", named("nowhere")), "and there is none named nowhere. Add it"),
    (
        letter(RejectCode.TIME_FUTURE, "2 h beyond what is believed"),
        "the clock of 'kasuga-01' was 2 h beyond what is believed when it stamped this",
    ),
    (letter(RejectCode.UNDATED, "0 ms since 1970"), "Give the device NTP"),
    (letter(RejectCode.TIME_TAKEN, "a/b at 5 ms"), "two other samples stand at a/b at 5 ms"),
    (letter(RejectCode.UNWRITABLE, "400 field type conflict"), "InfluxDB said: 400 field type conflict"),
    (letter(RejectCode.TOO_LONG, "300000 bytes"), "the message had 300000 bytes. Send smaller packs"),
    (letter(RejectCode.NOT_JSON, "line 1"), "the payload is no JSON: line 1. Correct the sender, 'kasuga-01'"),
    (letter(RejectCode.FOREIGN_TOPIC), "publishes under suimon/v1/<tenant>/<device>/"),
]


@pytest.mark.parametrize(("x", "says"), REMEDIES, ids=[f"{x.code}-{i}" for i, (x, _) in enumerate(REMEDIES)])
def test_a_remedy_names_the_place(x: Letter, says: str) -> None:
    """What to change, in which file, and the value that was met."""
    assert says in letters.remedy(x, REGISTRY)


@pytest.mark.parametrize("code", RejectCode)
@pytest.mark.parametrize("payload", [None, b"", b"\xff\x00[", named(STATION), b"[[[[", b'[{"bn":5,"n":null}]'])
def test_every_reason_has_a_remedy(code: RejectCode, payload: bytes | None) -> None:
    """Whatever the letter holds, or no longer holds."""
    x = letter(code, "a detail", payload)
    assert len(letters.remedy(x, REGISTRY)) > 20
    letters.stations_of(x)
    letters.hopeless(x)


STATIONS = [
    ("a pack", letter(RejectCode.UNKNOWN_DEVICE, "", named("b") [:-1] + b"," + named("a")[1:]), ["a", "b"]),
    ("a record that cannot be decoded", letter(RejectCode.WRONG_TYPE, "", named("a").replace(b":1,", b':"x",')), ["a"]),
    ("a point", letter(RejectCode.UNWRITABLE, "", b"rain,channel=rain,station=a,tenant=t value=1 1"), ["a"]),
    ("an observation", letter(RejectCode.TIME_TAKEN, "", msgspec.json.encode(world.observation(1))), [STATION]),
    ("no pack", letter(RejectCode.NOT_JSON, "", b"{{"), []),
    ("no bytes", letter(RejectCode.WRONG_UNIT, "", None), []),
]  # fmt: skip


@pytest.mark.parametrize(("says", "x", "stations"), STATIONS, ids=[row[0] for row in STATIONS])
def test_stations_of_a_letter(says: str, x: Letter, stations: list[str]) -> None:
    """Read from what is kept of it."""
    assert letters.stations_of(x) == stations


def test_a_base_value_travels_with_its_record() -> None:
    """A rejected record keeps the base value that it stood under: replayed, it is what the device measured."""
    from gateway import wire

    pack = wire.decode_pack(
        b'[{"bn":"s/","bv":10,"n":"a","v":1,"bt":1764000000,"log":"%s","seq":1},{"n":"b","v":"x"}]' % LOG.encode()
    )
    (reject,) = pack.rejects
    assert reject.text is not None
    mended = wire.decode_pack(reject.text.replace('"x"', "2").encode())
    assert [r.value for r in mended.samples[0].records] == [12.0]

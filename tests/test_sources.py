"""Devices of others at the bridge: from a topic and a message to observations, dead letters and the account."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway import config, settings, sourcefile, yamlfile
from gateway.bridge.abroad import Stood
from gateway.bridge.work import Memory, Rules, Work
from gateway.cli.main import app
from gateway.errors import RejectCode
from gateway.model import ClockState, Message, Observation
from gateway.profiles import Profile
from gateway.stations import Registry

T0 = 1_790_000_000_000
STATIONS = """version: 1
tenant: takamatsu
stations:
  kasuga:
    name: {ja: 春日橋, en: Kasuga Bridge}
    position: {latitude: 34.3, longitude: 134.1}
    device: a84041f0d1827e3c
    datum: T.P.
    gauge_zero: 0 m
    channels:
      water_level: {readings: distance, sensor_height: 6 m, interval: 10min, grace: 5min}
  tank:
    name: {ja: 貯水槽, en: Tank}
    position: {latitude: 34.3, longitude: 134.1}
    device: esp-tank
    datum: T.P.
    gauge_zero: 0 m
    channels: {water_level: {interval: 10min, grace: 5min}}
"""
SOURCES = {
    "radio": """
  radio:
    topic: application/+/device/{device}/event/up
    codec: chirpstack
    tenant: takamatsu
    profile: decentlab_dl_mbx
    channels: {distance: water_level}
""",
    "house": """
  house:
    topic: "{device}/sensor/{value}/state"
    codec: bare
    tenant: takamatsu
    values: {water_level: {name: level, unit: cm}}
""",
    "json": """
  logger:
    topic: loggers/{device}
    codec: plain
    tenant: takamatsu
    profile: json_level
    time: at
""",
    "senml": """
  senml:
    topic: senml/{device}
    codec: senml_json
    tenant: takamatsu
    values: {water_level: {name: "urn:dev:x:level"}}
""",
}
UP = "application/17c8/device/A84041F0D1827E3C/event/up"


def folder(tmp_path: Path, sources: str) -> Path:
    (tmp_path / "stations.yaml").write_text(STATIONS)
    head = "version: 1\nbroker: {host: mqtt.example}\nclock: {trust: always}\n"
    (tmp_path / "bridge.yaml").write_text(f"{head}sources:{sources}")
    return tmp_path


class House:
    """A bridge without a broker: one batch for each message."""

    def __init__(self, bridge: settings.Bridge, registry: Registry) -> None:
        self.bridge, self.registry, self.memory = bridge, registry, Memory("store")
        self.stored: list[Observation] = []
        self.memory.there = self._there

    def take(self, topic: str, payload: bytes, at_ms: int = T0, retained: bool = False) -> Work:
        work = Work(self.memory, Rules(self.registry, self.bridge, at_ms, at_ms + 300_000, 0))
        work.take(Message(topic, payload, at_ms, retained))
        work.swap_in()
        self.stored += work.observations
        received = sum(work.counts[k] for k in ("accepted", "rejected", "duplicate"))
        assert work.counts["received"] == received  # every message has one fate
        return work

    def _there(self, series: tuple[str, str, str], from_ms: int, to_ms: int) -> list[Stood]:
        of = [o for o in self.stored if (o.tenant, o.station, o.channel) == series]
        return [(o.observed_ms, o.raw, o.fault) for o in of if from_ms <= o.observed_ms <= to_ms]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> tuple[settings.Bridge, Registry]:
    return config.load_bridge(folder(tmp_path_factory.mktemp("house"), "".join(SOURCES.values())))


@pytest.fixture(scope="module")
def profiles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Profile]:
    return config.load_profiles(tmp_path_factory.mktemp("none"), [])


@pytest.fixture
def house(loaded: tuple[settings.Bridge, Registry]) -> House:
    return House(*loaded)


def uplink(number: int, distance_mm: int, at_ms: int = T0, session: str = "00189440", **more: object) -> bytes:
    raw = bytes.fromhex("02012F0003") + distance_mm.to_bytes(2) + bytes.fromhex("00010BB1")
    time = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()
    said = {"time": time, "deviceInfo": {}, "devAddr": session, "fPort": 1, "data": base64.b64encode(raw).decode()}
    return json.dumps(said | ({"fCnt": number} if number else {}) | more).encode()


def levels(work: Work) -> list[tuple[str, str, float | None, int]]:
    return [(o.station, o.channel, o.value, o.observed_ms) for o in work.observations]


def test_a_radio_of_others(house: House) -> None:
    """A raw payload behind a network server becomes a level of our station, with the server's time."""
    work = house.take(UP, uplink(0, 1234))
    assert levels(work) == [("kasuga", "water_level", pytest.approx(4.766), T0)]
    assert work.observations[0].clk is ClockState.SYNCED
    assert work.counts["accepted"] == 1


def test_a_repeated_uplink_is_one_reading(house: House) -> None:
    """The same number of the same session is the same reading, however often and late it comes."""
    for number in (5000, 5001, 5003):
        assert levels(house.take(UP, uplink(number, 1000, T0 - 600_000 + number * 10)))
    for number in (5001, 5000, 5003):
        work = house.take(UP, uplink(number, 1000, T0 - 600_000 + number * 10, dr=3), T0 + 7_200_000)
        assert (levels(work), work.counts["duplicate"]) == ([], 1)
    assert levels(house.take(UP, uplink(5002, 1000, T0 - 550_000)))  # it came late, and is new


def test_a_device_that_counts_anew(house: House) -> None:
    """One that joined anew, or that began again at 0 hours later, is heard."""
    assert levels(house.take(UP, uplink(7, 1000)))
    assert levels(house.take(UP, uplink(7, 1000, T0 + 60_000, session="00aaaaaa"), T0 + 60_000))
    later = T0 + 2 * 3_600_000
    assert levels(house.take(UP, uplink(7, 1000, later), later))
    assert levels(house.take(UP, uplink(8, 1000, later + 600_000), later + 600_000))
    assert not levels(house.take(UP, uplink(8, 1000, later + 600_000), later + 601_000))


def test_a_count_from_0_after_a_reset(house: House) -> None:
    """A number below the first that was heard begins a log of its own; what it counted up to is not heard again."""
    house.take(UP, uplink(100, 1000))
    assert levels(house.take(UP, uplink(0, 1000, T0 + 60_000), T0 + 60_000))
    assert levels(house.take(UP, uplink(1, 1000, T0 + 120_000), T0 + 120_000))
    assert not levels(house.take(UP, uplink(1, 1000, T0 + 120_000), T0 + 130_000))
    assert not levels(house.take(UP, uplink(100, 1000), T0 + 140_000))


def test_a_count_that_begins_in_a_gap_of_the_old_one(house: House) -> None:
    """1 was lost, and is the first that is heard two hours later: those behind it are new, too."""
    for number in (0, 2, 3, 4):
        house.take(UP, uplink(number, 1000, T0 + number * 60_000))
    for number in (1, 2, 3):
        at_ms = T0 + 7_200_000 + number * 60_000
        assert levels(house.take(UP, uplink(number, 1000, at_ms), at_ms)), number
        assert not levels(house.take(UP, uplink(number, 1000, at_ms), at_ms + 1000))


def test_a_count_whose_first_uplinks_are_overtaken(house: House) -> None:
    """2 of the new count comes first, then 1 and 0."""
    for number in range(8):
        house.take(UP, uplink(number, 1000, T0 + number * 60_000), T0 + number * 60_000)
    for number in (2, 1, 0, 3):
        at_ms = T0 + 7_200_000 + number * 60_000
        assert levels(house.take(UP, uplink(number, 1000, at_ms), at_ms + 300_000)), number
    assert not levels(house.take(UP, uplink(7, 1000, T0 + 7 * 60_000), T0 + 7_700_000))  # one of the old


def test_a_device_that_counts_anew_at_once(house: House) -> None:
    """One that was reset a minute ago is heard from its first uplink on; numbers that come twice are not."""
    for number in range(20, 24):
        assert levels(house.take(UP, uplink(number, 1000, T0 + number * 60_000), T0 + number * 60_000))
    for minute, number in enumerate([0, 1, 2, 3, 20, 21], 25):
        at_ms = T0 + minute * 60_000
        assert levels(house.take(UP, uplink(number, 1000, at_ms), at_ms))
        assert house.take(UP, uplink(number, 1000, at_ms + 400), at_ms + 500).counts["duplicate"] == 1
    house.take(UP, uplink(0, 1000, T0 + 40 * 60_000), T0 + 40 * 60_000)
    assert levels(house.take(UP, uplink(1, 1000, T0 + 41 * 60_000), T0 + 41 * 60_000))


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("loggers/esp-tank", {"level": {"value": 50}, "at": T0 - 60_000}),
        ("senml/esp-tank", [{"n": "urn:dev:x:level", "u": "m", "v": 0.5, "bt": T0 / 1000 - 60}]),
    ],
)
def test_a_message_with_a_time_that_comes_again(house: House, topic: str, payload: object) -> None:
    """The same value at the same time is the same reading, in one batch or days later; another value is not."""
    said = json.dumps(payload).encode()
    assert levels(house.take(topic, said)) == [("tank", "water_level", 0.5, T0 - 60_000)]
    for later in (0, 60_000, 86_400_000):
        work = house.take(topic, said, T0 + later)
        assert (levels(work), work.counts["duplicate"], work.letters) == ([], 1, [])
    assert levels(house.take(topic, said.replace(b"50", b"51").replace(b"0.5", b"0.51")))


def test_a_document_that_is_none(house: House) -> None:
    """What a profile for JSON cannot even open is kept as a dead letter, with its bytes."""
    source = replace(next(s for s in house.bridge.sources if s.name == "logger"), time=())
    house.bridge = replace(house.bridge, sources=(source,))
    work = house.take("loggers/esp-tank", b'{"level": {"va')
    assert [(x.code, x.payload) for x in work.letters] == [(RejectCode.BAD_UPLINK, b'{"level": {"va')]


def test_distances_and_levels_in_one_tenant(tmp_path: Path) -> None:
    """A source whose values fit one of its tenant's stations is taken, whichever stands first in stations.yaml; from a
    device of another it takes no distance for a level."""
    folder(tmp_path, SOURCES["radio"])
    path = tmp_path / "stations.yaml"
    head, _, rest = path.read_text().partition("  kasuga:\n")
    kasuga, tank = rest.split("  tank:\n")
    path.write_text(f"{head}  tank:\n{tank}  kasuga:\n{kasuga}")
    bridge, registry = config.load_bridge(tmp_path)
    assert [s.name for s in bridge.sources] == ["radio"]
    house = House(bridge, registry)
    assert levels(house.take(UP, uplink(7, 1234))) == [("kasuga", "water_level", pytest.approx(4.766), T0)]
    work = house.take(UP.replace("A84041F0D1827E3C", "esp-tank"), uplink(7, 1234))
    assert [(x.code, x.detail) for x in work.letters] == [
        (RejectCode.WRONG_UNIT, "distance is a distance, tank/water_level takes a water_level")
    ]


def test_a_radios_own_affairs(house: House) -> None:
    """An uplink without a payload is counted and says nothing of the water."""
    said = json.loads(uplink(3, 1000))
    del said["data"]
    work = house.take(UP, json.dumps(said).encode())
    assert (levels(work), work.counts["accepted"], work.letters) == ([], 1, [])


def test_a_topic_for_each_value(house: House) -> None:
    """A bare value is of its arrival; its topic names it, and the source its unit."""
    work = house.take("esp-tank/sensor/level/state", b"123.4")
    assert levels(work) == [("tank", "water_level", pytest.approx(1.234), T0)]
    assert work.observations[0].clk is ClockState.UNSYNCED
    work = house.take("esp-tank/sensor/level/state", b"nan", T0 + 60_000)
    assert [(o.value, o.fault) for o in work.observations] == [(None, "sensor_error")]
    work = house.take("esp-tank/sensor/wifi/state", b"-61")
    assert (levels(work), work.counts["accepted"]) == ([], 1)  # nobody asked for it


def test_what_a_broker_kept_is_of_an_unknown_age(house: House) -> None:
    """A retained message without a time of its own is no reading; one with its time is."""
    work = house.take("esp-tank/sensor/level/state", b"123.4", retained=True)
    assert (levels(work), work.counts["duplicate"]) == ([], 1)
    said = json.dumps({"n": 1, "level": {"value": 50}, "at": T0 - 60_000}).encode()
    assert levels(house.take("loggers/esp-tank", said, retained=True)) == [("tank", "water_level", 0.5, T0 - 60_000)]


@pytest.mark.parametrize("at", ["2026-09-21T13:33:20Z", 1_789_997_600, 1_789_997_600_000])
def test_a_time_in_the_document(house: House, at: object) -> None:
    """The time may be a text, seconds or milliseconds; without it the message is refused."""
    said = {"n": 1, "level": {"value": 50}, "at": at}
    assert [o.observed_ms for o in house.take("loggers/esp-tank", json.dumps(said).encode()).observations] == [
        1_789_997_600_000
    ]
    del said["at"]
    work = house.take("loggers/esp-tank", json.dumps(said).encode())
    assert [x.code for x in work.letters] == [RejectCode.BAD_UPLINK]


def test_senml_of_others(house: House) -> None:
    """Of a pack the values that were asked for are taken, each with its time."""
    pack = [
        {"bn": "urn:dev:x:", "bu": "cm", "n": "level", "v": 10, "t": -60},
        {"n": "level", "v": 12},
        {"n": "x", "v": 1},
    ]
    work = house.take("senml/esp-tank", json.dumps(pack).encode())
    assert levels(work) == [("tank", "water_level", 0.1, T0 - 60_000), ("tank", "water_level", 0.12, T0)]
    assert work.counts["accepted"] == 2


@pytest.mark.parametrize(
    ("topic", "payload", "code"),
    [
        (UP, b"{", RejectCode.BAD_UPLINK),
        (UP.replace("A84041F0D1827E3C", "0101010101010101"), uplink(1, 1000), RejectCode.UNKNOWN_DEVICE),
        (UP.replace("A84041F0D1827E3C", "ä"), uplink(1, 1000), RejectCode.UNKNOWN_DEVICE),
        (UP, uplink(1, 1000, T0 + 86_400_000), RejectCode.TIME_FUTURE),
        (UP, b" " * 300_000, RejectCode.TOO_LONG),
        ("senml/esp-tank", b'[{"n":"urn:dev:x:level","u":"V","v":1}]', RejectCode.WRONG_UNIT),
        ("elsewhere/esp-tank", b"1", RejectCode.FOREIGN_TOPIC),
    ],
)
def test_what_cannot_be_taken_is_a_dead_letter(house: House, topic: str, payload: bytes, code: RejectCode) -> None:
    """Each has its code, is counted, and harms nobody else."""
    work = house.take(topic, payload)
    assert [x.code for x in work.letters] == [code]
    assert (levels(work), work.counts["rejected"]) == ([], 1)
    assert levels(house.take(UP, uplink(9, 1000)))


MISTAKES = [
    ("radio", "codec: chirpstack", "codec: chirpstak", "'chirpstak' is not known. Did you mean 'chirpstack'?"),
    ("radio", "    profile: decentlab_dl_mbx\n", "", "'profile' is missing: codec chirpstack hands on"),
    ("radio", "decentlab_dl_mbx", "decentlab_dl_mbz", "unknown profile 'decentlab_dl_mbz'. Did you mean"),
    ("radio", "decentlab_dl_mbx", "keller_30x", "keller_30x reads registers, and codec chirpstack gives"),
    ("radio", "{distance: ", "{distanse: ", "decentlab_dl_mbx has no value 'distanse'. Did you mean 'distance'?"),
    ("radio", "water_level}", "flow}", "no station here has a channel 'flow'"),
    ("radio", "{distance: ", "{battery_voltage: ", "battery_voltage of decentlab_dl_mbx is a battery_voltage, channel"),
    ("radio", "takamatsu", "takamatu", "no station of tenant 'takamatu'. Did you mean 'takamatsu'?"),
    ("radio", "application/+/device/{device}/event/up", "application/#", "'#' and '+' within a word are not taken"),
    ("radio", "{device}/event", "+/event", "'{device}' must stand once where the device's name is, or 'station'"),
    ("radio", "application/+", "suimon/+", "'suimon' is not for devices of others. Name their topic"),
    ("house", "{value}/state", "level/state", "'{value}' must stand once where the value's name is"),
    ("house", "values: {water_level", "values: {water_levle", "no station here has a channel 'water_levle'"),
    ("senml", '    values: {water_level: {name: "urn:dev:x:level"}}\n', "", "'values' is missing: codec"),
    ("json", "    time: at\n", "    time: at\n    values: {water_level: {}}\n", "codec plain has no use for 'values'"),
    ("json", "    time: at\n", "    time: at\n    station: tonk\n", "'tonk' is not in stations.yaml. Did you"),
    ("json", "    time: at\n", "    time: at\n  other: {topic: 'loggers/{device}', codec: plain, tenant: takamatsu, "
     "profile: json_level}\n", "source 'logger' already takes loggers/+"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "old", "new", "expected"), MISTAKES)
def test_mistakes(
    name: str, old: str, new: str, expected: str, profiles: dict[str, Profile], loaded: tuple[settings.Bridge, Registry]
) -> None:
    """Each mistake is told once, at its line, with what would be right."""
    assert old in SOURCES[name]
    document = yamlfile.parse(f"version: 1\nsources:{SOURCES[name].replace(old, new, 1)}".encode(), "bridge.yaml")
    sourcefile.sources(document, profiles, loaded[1])
    (told,) = document.problems
    assert told.line > 2
    assert expected in told.message


def test_a_message_is_tried_before_it_is_trusted(tmp_path: Path) -> None:
    """`suimon source test` shows the readings of a message, or its code; scripts read the same as JSON."""
    folder(tmp_path, SOURCES["radio"])
    (tmp_path / "up.json").write_bytes(uplink(1, 1234, T0))
    said = CliRunner().invoke(app, ["source", "test", UP, str(tmp_path / "up.json"), "-c", str(tmp_path)])
    assert (said.exit_code, said.output.splitlines()[0]) == (0, "source radio, device a84041f0d1827e3c")
    assert "kasuga/water_level: 4.766 m, 2026-09-21T14:13:20.000+00:00, flag 1" in said.output
    (tmp_path / "up.json").write_text("{")
    said = CliRunner().invoke(app, ["source", "test", UP, str(tmp_path / "up.json"), "-c", str(tmp_path), "--json"])
    assert (said.exit_code, json.loads(said.output)["refused"][0]["code"]) == (1, "bad_uplink")


def test_a_message_is_tried_against_a_configuration_without_mistakes(tmp_path: Path) -> None:
    """What is wrong with the folder is told with its place, as everywhere."""
    (tmp_path / "bridge.yaml").write_text("version: 1\nstore: {path: store.db}\nsauces: {}\n")
    said = CliRunner().invoke(app, ["source", "test", UP, str(tmp_path / "up.json"), "-c", str(tmp_path)])
    assert said.exit_code == 3
    assert "bridge.yaml:3:1 sauces: unknown key 'sauces'. Did you mean 'sources'?" in said.stderr
    assert "stations.yaml:1:1 no such file" in said.stderr


EVERY = """\
4:12 radio.topic: 'suimon' is not for devices of others. Name their topic
5:12 radio.codec: 'chirpstak' is not known. Did you mean 'chirpstack'? (one of plain, bare, ultralight, senml_json, senml_cbor, chirpstack, tts)
8:16 radio.channels.distanse: decentlab_dl_mbx has no value 'distanse'. Did you mean 'distance'? (one of distance, battery_voltage)
8:26 radio.channels.distanse: no station here has a channel 'flow' (only water_level)
8:49 radio.channels.battery_voltage: battery_voltage of decentlab_dl_mbx is a battery_voltage, channel water_level takes a distance or a water_level. Take distance
11:12 again.topic: '{device}' must stand once where the device's name is, or 'station' beside it
11:12 again.topic: '{value}' is for codec bare alone
13:13 again.tenant: no station of tenant 'takamatu'. Did you mean 'takamatsu'? (only takamatsu)
14:5 again.profil: unknown key 'profil'. Did you mean 'profile'? (one of topic, codec, tenant, profile, channels, values, station, time)
16:5 again.values: codec chirpstack has no use for 'values'. Leave it out
18:12 third.topic: 'suimon' is not for devices of others. Name their topic
18:12 third.topic: source 'radio' already takes suimon/+/+. Tell them apart by their topics
21:5 third.profile: codec bare has no use for 'profile'. Leave it out
22:14 third.station: 'tonk' is not in stations.yaml. Did you mean 'tank'?
23:28 third.values.water_level.unite: unknown key 'unite'. Did you mean 'unit'? (one of name, unit)
28:14 fourth.profile: keller_30x reads registers, and codec chirpstack gives binary or json. Take a profile that reads that
29:26 fourth.channels.distance: no station here has a channel 'flow' (only water_level)
30:10 fifth: 7 stands where a mapping is expected (keys: topic, codec, tenant, profile, channels, values, station, time)
"""  # noqa: E501


def test_every_mistake_of_every_source_at_once(
    profiles: dict[str, Profile], loaded: tuple[settings.Bridge, Registry]
) -> None:
    """None hides another: in one source, beside a mistake of form, and in the next source. Nothing is told twice, nor
    what only follows from another mistake."""
    text = """version: 1
sources:
  radio:
    topic: suimon/{device}/{value}
    codec: chirpstak
    tenant: takamatsu
    profile: decentlab_dl_mbx
    channels: {distanse: flow, battery_voltage: water_level}
    time: 5
  again:
    topic: "{value}/{device}/{device}"
    codec: chirpstack
    tenant: takamatu
    profil: decentlab_dl_mbx
    channels: {distance: water_level}
    values: {water_levle: {}}
  third:
    topic: "suimon/{device}/{value}"
    codec: bare
    tenant: takamatsu
    profile: keller_30x
    station: tonk
    values: {water_level: {unite: cm}}
  fourth:
    topic: "a/{device}"
    codec: chirpstack
    tenant: takamatsu
    profile: keller_30x
    channels: {distance: flow}
  fifth: 7
"""
    document = yamlfile.parse(text.encode(), "bridge.yaml")
    assert sourcefile.sources(document, profiles, loaded[1]) == ()
    told = [f"{p.line}:{p.col} {p.path.removeprefix('sources.')}: {p.message}" for p in sorted(document.problems)]
    assert told == EVERY.splitlines()

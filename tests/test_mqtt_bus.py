"""Sensors that publish to a broker at the station, with a real mosquitto."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from gateway import busfile, config, processfile, settings, yamlfile
from gateway.edge.agent import open_bus
from gateway.edge.sampling import Bus
from gateway.errors import FaultCode
from gateway.mqtt import Session
from gateway.profiles import Profile, decode
from tests import servers
from tests.servers import Server, wait_for

PROFILES = config.load_profiles(Path("/nonexistent"), [])
LEVEL = PROFILES["json_level"]
TOPIC = "tele/well/SENSOR"
SAYS = '{"n": 1, "level": {"value": %d}}'


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Server]:
    with servers.running(servers.mosquitto(tmp_path / "broker")) as server:
        yield server


@contextmanager
def on(broker: Server, timeout_s: float = 0.3, user: str | None = None) -> Iterator[Bus]:
    to = settings.Broker("127.0.0.1", broker.port, username=user, password=user, keepalive_s=5)
    bus = open_bus(settings.Mqtt(to, timeout_s))
    try:
        yield bus
    finally:
        bus.close()


@contextmanager
def sensor(broker: Server) -> Iterator[Callable[..., None]]:
    """Publishes levels in centimetres, and waits until the broker has each."""
    session = Session(settings.Broker("127.0.0.1", broker.port), "sensor")
    session.start()
    try:
        wait_for("the sensor", session.connected.is_set)

        def say(level: object, topic: str = TOPIC, *, retain: bool = False) -> None:
            payload = (SAYS % level).encode() if isinstance(level, int) else level
            assert isinstance(payload, bytes)
            assert session.publish_and_wait(topic, payload, retain=retain)

        yield say
    finally:
        session.stop()


def read(bus: Bus, topic: str = TOPIC, profile: Profile = LEVEL) -> object:
    """The level of a reading, or the fault of its bus."""
    raw = bus.read(settings.Sensor("gauge", "kasuga", "local", profile.id, 60.0, address=topic), profile)
    return raw if isinstance(raw, FaultCode) else decode(profile, raw)["water_level"]


def listening(bus: Bus, *topics: str) -> None:
    """Until the broker has granted the subscriptions, and nothing was said."""
    for topic in topics or (TOPIC,):
        wait_for("the subscription", lambda topic=topic: read(bus, topic) is FaultCode.NO_ANSWER)  # type: ignore[misc]


def read_within(bus: Bus, expected: object, topic: str = TOPIC) -> None:
    """What was published is on its way for a moment."""
    found: list[object] = []

    def came() -> bool:
        found.append(read(bus, topic))
        return found[-1] == expected

    wait_for(f"{expected} among {found}", came, 10.0)
    assert set(found[:-1]) <= {FaultCode.NO_ANSWER, FaultCode.BUS_ERROR}


def test_a_message_is_one_reading(broker: Server) -> None:
    """What a sensor publishes is read once; where it says nothing more, it does not answer."""
    with on(broker) as bus, sensor(broker) as say:
        listening(bus)
        say(150)
        read_within(bus, 1.5)
        assert read(bus) is FaultCode.NO_ANSWER


def test_the_newest_is_the_reading(broker: Server) -> None:
    """Of several messages between two readings the last one counts, and none of the others later."""
    with on(broker) as bus, sensor(broker) as say:
        listening(bus, TOPIC, "end")
        for level in (100, 200, 300):
            say(level)
        say(400, "end")  # behind them on the same connection
        read_within(bus, 4.0, "end")
        assert read(bus) == 3.0
        assert read(bus) is FaultCode.NO_ANSWER


def test_the_first_reading_waits_for_the_sensor(broker: Server) -> None:
    """Who reads once, by hand, hears what is said within the time-out."""
    with on(broker, 30.0) as bus, sensor(broker) as say:
        talking = threading.Timer(2.0, say, (150,))
        talking.start()
        assert read(bus) == 1.5
        talking.join()


def test_what_the_broker_kept_is_of_an_unknown_age(broker: Server) -> None:
    """A retained message is no reading; the same sensor's next one, retained again, is."""
    with on(broker) as bus, sensor(broker) as say:
        say(150, retain=True)
        listening(bus)
        listening(bus, "another")  # a further subscription repeats it
        assert read(bus) is FaultCode.NO_ANSWER
        say(200, retain=True)
        read_within(bus, 2.0)


def test_sensors_share_a_broker(broker: Server) -> None:
    """Each has its topic, and hears no other's."""
    with on(broker) as bus, sensor(broker) as say:
        listening(bus, "a", "b")
        say(100, "a")
        say(200, "b")
        read_within(bus, 1.0, "a")
        read_within(bus, 2.0, "b")
        assert read(bus, "a") is FaultCode.NO_ANSWER


@pytest.mark.parametrize("payload", [b"", b"offline", b"\xff\xfe", b"[" * 5000, b"9" * 300_000])
def test_what_is_no_such_message_is_malformed(broker: Server, payload: bytes) -> None:
    """Whatever stands in a message that the profile does not know, or that is too long, is a fault of this reading."""
    with on(broker) as bus, sensor(broker) as say:
        listening(bus)
        say(payload)
        read_within(bus, FaultCode.MALFORMED)
        say(150)
        read_within(bus, 1.5)


def test_a_bare_number_is_text(broker: Server) -> None:
    """ESPHome says `1.234` to the topic of a value."""
    profile = replace(PROFILES["maxbotix_mb7389"], frame=None)
    with on(broker) as bus, sensor(broker) as say:
        listening(bus)
        say(b"R1234", TOPIC)
        wait_for("the line", lambda: bus.read(_sensor(), profile) == b"R1234", 10.0)


def _sensor() -> settings.Sensor:
    return settings.Sensor("gauge", "kasuga", "local", "any", 60.0, address=TOPIC)


def test_a_broker_that_goes_away_and_comes_back(broker: Server) -> None:
    """Meanwhile its sensors are faults of the bus; afterwards they are heard again without a restart."""
    with on(broker) as bus:
        with sensor(broker) as say:
            listening(bus)
            say(150)
            read_within(bus, 1.5)
        broker.stop(kill=True)
        wait_for("the fault", lambda: read(bus) is FaultCode.BUS_ERROR)
        broker.start()
        with sensor(broker) as say:

            def heard() -> bool:
                say(250)
                return read(bus) == 2.5

            wait_for("the sensor again", heard, every_s=0.2)


GRANTS = {
    "defaultACLAccess": {"publishClientSend": True, "publishClientReceive": True, "subscribe": False},
    "roles": [{"rolename": "listens", "acls": [{"acltype": "subscribePattern", "topic": "granted/#", "allow": True}]}],
    "groups": [{"groupname": "all", "roles": [{"rolename": "listens"}]}],
    "anonymousGroup": "all",
    "clients": [],
}


def test_a_topic_that_the_broker_refuses(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is a fault of the bus, told in the log by its name; the broker's other sensors are heard, and one that says
    nothing is silent as before, also after the broker came again."""
    plugin = servers.library("mosquitto_dynamic_security.so")
    rights = tmp_path / "rights.json"
    rights.write_text(json.dumps(GRANTS))
    lines = f"plugin {plugin}\nplugin_opt_config_file {rights}"
    with servers.running(servers.mosquitto(tmp_path / "broker", lines)) as broker, on(broker) as bus:
        for restarted in (False, True):
            if restarted:
                broker.stop(kill=True)
                wait_for("the fault", lambda: read(bus, "granted/well") is FaultCode.BUS_ERROR)
                broker.start()
            with sensor(broker) as say:
                listening(bus, "granted/well")
                assert read(bus, "secret/well") is FaultCode.BUS_ERROR
                told = "refuses the subscription to secret/well; check its ACL"
                wait_for("the refusal", lambda told=told: told in caplog.text)
                caplog.clear()
                listening(bus, "granted/well")
                say(999, "secret/well")
                say(150, "granted/well")
                read_within(bus, 1.5, "granted/well")
                assert read(bus, "secret/well") is FaultCode.BUS_ERROR


def test_a_broker_that_is_not_there(tmp_path: Path) -> None:
    """The reading is a fault of the bus within its time-out."""
    with on(servers.mosquitto(tmp_path)) as bus:
        assert read(bus) is FaultCode.BUS_ERROR


@pytest.mark.parametrize(
    ("bus", "rest", "told"),
    [
        ("host: 127.0.0.1", f", address: {TOPIC}", []),
        ("host: 127.0.0.1", "", ["sensors.well: 'address' is missing. Add for example 'address: tele/level/SENSOR'"]),
        (
            "host: 'mqtt://x', password_file: no, timeout: 0s",
            ", address: tele/+/SENSOR, unit_id: 3",
            [
                "buses.local.host: 'mqtt://x' is not a host name or address. Did you mean 'x'?",
                "buses.local.timeout: '0s' is no time at all. Write a duration above zero",
                "buses.local.password_file: a password needs 'username' beside it",
                "buses.local.password_file: the file that this names cannot be read (no such file or directory). Write "
                "a path relative to the configuration's folder",
                "sensors.well.unit_id: a bus of type mqtt knows its sensors by 'address'. Leave unit_id out",
                "sensors.well.address: 'tele/+/SENSOR' names several topics, and a sensor has one. Write it without "
                "'+' and '#'",
            ],
        ),
    ],
)
def test_edge_yaml(bus: str, rest: str, told: list[str]) -> None:
    """Every mistake at once: of the broker, of the topic."""
    line = f"{{station: a, bus: local, profile: json_level, interval: 60s, accept_unverified: true{rest}}}"
    text = f"buses:\n  local: {{type: mqtt, {bus}}}\nsensors:\n  well: {line}\n"
    document = yamlfile.parse(text.encode(), "edge.yaml")
    found, _ = processfile.single(document, LEVEL)
    assert sorted(f"{p.path}: {p.message}" for p in document.problems) == sorted(told)
    if not told:
        assert found == settings.Mqtt(settings.Broker("127.0.0.1", 1883))


def test_the_broker_of_a_bus_is_written_like_the_agents(tmp_path: Path) -> None:
    """User, password and TLS as at `broker`; the port follows TLS."""
    (tmp_path / "secret").write_text("open sesame\n")
    text = "buses:\n  local: {type: mqtt, host: hub, username: me, password_file: secret, tls: true}\n"
    document = yamlfile.parse(text.encode(), "edge.yaml")
    (_, bus) = busfile.buses(document, tmp_path)["local"]
    assert document.problems == []
    assert isinstance(bus, settings.Mqtt)
    assert (bus.broker.port, bus.broker.username, bus.broker.password) == (8883, "me", "open sesame")
    assert "sesame" not in repr(bus)


def test_which_profiles_a_broker_carries() -> None:
    """Texts and JSON, but neither a line of SDI-12 nor the payload of a radio, which has a server of its own."""
    carried = {name for name, profile in PROFILES.items() if "mqtt" in busfile.carriers(profile)}
    assert {"json_level", "hydreon_rg15"} <= carried
    assert not {"campbell_cs476", "decentlab_dl_mbx", "milesight_em400_udl", "keller_30x"} & carried

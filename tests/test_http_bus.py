"""A neighbour device over HTTP, asked at a real server."""

from __future__ import annotations

import socket
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway import busfile, config, processfile, profiles, settings, yamlfile
from gateway.edge.agent import open_bus
from gateway.errors import FaultCode
from gateway.profiles import Asked, decode
from simulators.httpdevice import Broken, HttpDevice
from tests.servers import require

PROFILES = config.load_profiles(Path("/nonexistent"), [])
LEVEL = replace(PROFILES["json_level"], asked=Asked(path="/api/level"))
TIMEOUT_S, SOON_S = 30.0, 0.4  # of a device that answers, of one that does not


def said(level_cm: float) -> bytes:
    return profiles.encode(LEVEL, {"read_counter": 1.0, "water_level": level_cm / 100})  # type: ignore[no-any-return]


@pytest.fixture
def device() -> Iterator[HttpDevice]:
    device = HttpDevice({"/api/level": said(123), "/second?x=1": said(50)})
    yield device
    device.close()


def read(device: HttpDevice, *, address: str = "", timeout_s: float = TIMEOUT_S, **bus: object) -> object:
    """The level that a reading says, or the fault of its bus."""
    opened = open_bus(settings.Http("127.0.0.1", device.port, timeout_s=timeout_s, **bus))  # type: ignore[arg-type]
    raw = opened.read(settings.Sensor("gauge", "kasuga", "lan", LEVEL.id, 60.0, address=address), LEVEL)
    opened.close()
    return raw if isinstance(raw, FaultCode) else decode(LEVEL, raw)["water_level"]


def test_a_device_is_asked_at_the_path_of_its_profile(device: HttpDevice) -> None:
    """What it says there is the reading."""
    assert read(device) == 1.23
    assert device.asked == ["/api/level"]


def test_a_sensor_may_have_a_path_of_its_own(device: HttpDevice) -> None:
    """Several sensors of one device are told apart by their addresses."""
    assert read(device, address="/second?x=1") == 0.5


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        ("no_answer", FaultCode.NO_ANSWER),
        ("drips", FaultCode.NO_ANSWER),
        ("hangs_up", FaultCode.NO_ANSWER),
        ("huge", FaultCode.MALFORMED),
        ("endless", FaultCode.MALFORMED),
        ("half", FaultCode.MALFORMED),
        ("not_http", FaultCode.MALFORMED),
        ("fails", FaultCode.SENSOR_ERROR),
        ("moved", FaultCode.REFUSED),
    ],
)
def test_what_goes_wrong_is_a_fault_and_the_next_reading_is_right(
    device: HttpDevice, broken: Broken, fault: FaultCode
) -> None:
    """However the device is broken, its reading is a fault, and a value again once it is well."""
    device.broken = broken
    assert read(device, timeout_s=SOON_S if broken in ("no_answer", "drips") else TIMEOUT_S) is fault
    device.broken = ""
    assert read(device) == 1.23


@pytest.mark.parametrize("body", [b"", b"{", b"<html>", b"\xff\xfe", b"[" * 50_000, b"null", b'{"level": 3}'])
def test_a_body_that_is_not_the_profiles(device: HttpDevice, body: bytes) -> None:
    """Whatever stands in an answer that is no such JSON is malformed."""
    device.says["/api/level"] = body
    assert read(device) is FaultCode.MALFORMED


def test_a_path_that_there_is_not(device: HttpDevice) -> None:
    """404 is a refusal: the configuration asks for what the device does not have."""
    assert read(device, address="/api/none") is FaultCode.REFUSED


def test_a_redirect_is_not_followed(device: HttpDevice) -> None:
    """The secret of one host is not carried to another."""
    other = HttpDevice({"/api/level": said(999)})
    device.broken, device.moved_to = "moved", f"http://127.0.0.1:{other.port}/api/level"
    try:
        assert read(device, header=("X-Api-Key", "secret")) is FaultCode.REFUSED
        assert other.asked == []
    finally:
        other.close()


def test_a_device_that_wants_to_know_who_asks(device: HttpDevice) -> None:
    """Without its header it refuses; with it, it answers."""
    device.wants = ("X-Api-Key", "secret")
    assert read(device) is FaultCode.REFUSED
    assert read(device, header=("X-Api-Key", "secret")) == 1.23


@pytest.mark.parametrize("host", ["127.0.0.1", "no.such.host.invalid", "a" * 64 + ".example"])
def test_a_device_that_is_not_there(host: str) -> None:
    """Nobody listens, or the name is none: a fault of the bus."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        bus = open_bus(settings.Http(host, taken.getsockname()[1], timeout_s=TIMEOUT_S))
        assert bus.read(settings.Sensor("gauge", "kasuga", "lan", LEVEL.id, 60.0), LEVEL) is FaultCode.BUS_ERROR


def test_tls_is_spoken_and_believed_or_nothing_is_read(device: HttpDevice) -> None:
    """A device that does not speak TLS where it should gets neither request nor secret."""
    assert read(device, tls=settings.Tls(), header=("X-Api-Key", "secret")) is FaultCode.BUS_ERROR
    assert device.asked == []


# --- over TLS


class Authority:
    """A certificate authority made here, and a certificate of its own for 127.0.0.1 alone."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.ca, ca_key = folder / "ca.pem", folder / "ca.key"
        key, request, names = folder / "key.pem", folder / "request.pem", folder / "names"
        names.write_text("subjectAltName=IP:127.0.0.1\n")
        made = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
        self._openssl(f"req -x509 {made} -days 2 -subj /CN=Makers", "-keyout", ca_key, "-out", self.ca)
        self._openssl(f"req {made} -subj /CN=logger", "-keyout", key, "-out", request)
        signed = ("-in", request, "-CA", self.ca, "-CAkey", ca_key, "-extfile", names, "-out", folder / "cert.pem")
        self._openssl("x509 -req -days 2 -CAcreateserial", *signed)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(folder / "cert.pem", key)

    @staticmethod
    def _openssl(command: str, *rest: str | Path) -> None:
        subprocess.run([require("openssl"), *command.split(), *map(str, rest)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "ours")


@pytest.fixture
def secure(authority: Authority) -> Iterator[HttpDevice]:
    device = HttpDevice({"/api/level": said(123)}, wants=("Authorization", "Bearer open sesame"), tls=authority.context)
    yield device
    device.close()


def told(device: HttpDevice, section: str, folder: Path, host: str = "127.0.0.1") -> object:
    """What a reading by this section of edge.yaml says; the device wants a secret, too."""
    (folder / "token").write_text("open sesame\n")
    whole = f"{{type: http, host: {host}, port: {device.port}, token_file: token, timeout: {TIMEOUT_S}s, {section}}}"
    bus, problems = _bus(whole, folder)
    assert problems == []
    assert isinstance(bus, settings.Http)
    return read(device, tls=bus.tls, header=bus.header) if host == "127.0.0.1" else _read_by(bus)


def _read_by(bus: settings.Http) -> object:
    return open_bus(bus).read(settings.Sensor("gauge", "kasuga", "lan", LEVEL.id, 60.0), LEVEL)


def test_a_device_whose_authority_we_know_is_read(secure: HttpDevice, authority: Authority, tmp_path: Path) -> None:
    """Over TLS, with the secret, by what edge.yaml says; and again, on a connection of its own."""
    for _ in range(2):
        assert told(secure, f"tls: {{ca_file: {authority.ca}}}", tmp_path) == 1.23
    assert secure.asked == ["/api/level", "/api/level"]


@pytest.mark.parametrize(("whom", "host"), [("system", "127.0.0.1"), ("another", "127.0.0.1"), ("ours", "localhost")])
def test_a_certificate_that_is_not_believed_ends_it(
    secure: HttpDevice, authority: Authority, tmp_path: Path, whom: str, host: str
) -> None:
    """Of an authority that nobody named, of another one, for another host: neither request nor secret is sent."""
    ca = {"system": "true", "ours": f"{{ca_file: {authority.ca}}}"}.get(whom)
    ca = ca or f"{{ca_file: {Authority(tmp_path / 'another').ca}}}"
    assert told(secure, f"tls: {ca}", tmp_path, host) is FaultCode.BUS_ERROR
    assert secure.asked == []


@pytest.mark.parametrize(
    ("broken", "fault"),
    [("drips", FaultCode.NO_ANSWER), ("half", FaultCode.MALFORMED), ("huge", FaultCode.MALFORMED)],
)
def test_what_goes_wrong_goes_wrong_over_tls_too(
    secure: HttpDevice, authority: Authority, broken: Broken, fault: FaultCode
) -> None:
    """One deadline and one limit of bytes hold there as well, and the next reading is right."""
    asks = {"tls": settings.Tls(ca_file=authority.ca), "header": ("Authorization", "Bearer open sesame")}
    secure.broken = broken
    assert read(secure, timeout_s=1.0 if broken == "drips" else TIMEOUT_S, **asks) is fault
    secure.broken = ""
    assert read(secure, **asks) == 1.23


def test_a_handshake_that_never_comes(authority: Authority) -> None:
    """A device that takes the connection and says nothing costs its time-out."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        tls = settings.Tls(ca_file=authority.ca)
        bus = settings.Http("127.0.0.1", silent.getsockname()[1], tls=tls, timeout_s=SOON_S)
        assert _read_by(bus) is FaultCode.BUS_ERROR


# --- edge.yaml


def _bus(section: str, folder: Path) -> tuple[settings.Bus | None, list[str]]:
    document = yamlfile.parse(f"buses:\n  lan: {section}\n".encode(), "edge.yaml")
    (_, bus) = busfile.buses(document, folder)["lan"]
    return bus, [f"{p.path}: {p.message}" for p in sorted(document.problems)]


def test_the_ways_to_say_who_we_are(tmp_path: Path) -> None:
    """User and password, a token, or a header by name; the port follows TLS; what is secret is not shown."""
    (tmp_path / "secret").write_text("open sesame\n")
    for section, port, header in (
        ("{type: http, host: logger}", 80, None),
        (
            "{type: http, host: logger, username: me, password_file: secret, tls: true}",
            443,
            ("Authorization", "Basic bWU6b3BlbiBzZXNhbWU="),
        ),
        ("{type: http, host: logger, port: 81, token_file: secret}", 81, ("Authorization", "Bearer open sesame")),
        ("{type: http, host: logger, header: X-Api-Key, token_file: secret}", 80, ("X-Api-Key", "open sesame")),
    ):
        bus, told = _bus(section, tmp_path)
        assert told == []
        assert isinstance(bus, settings.Http)
        assert (bus.port, bus.header) == (port, header)
        assert "sesame" not in repr(bus)


def test_every_mistake_at_once(tmp_path: Path) -> None:
    """A bus with several mistakes tells all of them, and none tells a secret."""
    (tmp_path / "secret").write_text("öffne dich\n")
    _, told = _bus(
        "{type: http, host: 'http://logger/', username: 'a:b', token_file: secret, header: 'X Key', tls: maybe}",
        tmp_path,
    )
    assert told == [
        "buses.lan.host: 'http://logger/' is not a host name or address. Did you mean 'logger'?",
        "buses.lan.username: a user name of HTTP holds no colon",
        "buses.lan.token_file: 'username' already says who we are. Keep one of them",
        "buses.lan.token_file: what the file holds cannot be sent in a header. It is printable ASCII",
        "buses.lan.header: 'X Key' is not the name of a header. Write it like X-Api-Key",
        "buses.lan.tls: 'maybe' is neither true nor false nor a mapping",
    ]


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("", ["sensors.level: 'address' is missing. Add for example 'address: /api/level'"]),
        (", address: /api/level", []),
        (", address: api", ["sensors.level.address: 'api' is not a path of a URL. Did you mean '/api'?"]),
        (", address: /a b", ["sensors.level.address: '/a b' is not a path of a URL. Write it like /api/level"]),
    ],
)
def test_the_address_of_a_sensor(address: str, told: list[str]) -> None:
    """A path, which may be left out where the profile says it."""
    line = "{station: a, bus: lan, profile: json_level, interval: 60s, accept_unverified: true" + address + "}"
    text = f"buses:\n  lan: {{type: http, host: logger}}\nsensors:\n  level: {line}\n"
    for profile, expected in ((PROFILES["json_level"], told), (LEVEL, [] if not address else told)):
        document = yamlfile.parse(text.encode(), "edge.yaml")
        processfile.single(document, profile)
        assert [f"{p.path}: {p.message}" for p in document.problems] == expected

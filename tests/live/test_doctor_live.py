"""The doctor before real servers: what a login, an ACL, a certificate and a database look like when they are wrong."""

from __future__ import annotations

import subprocess
import urllib.request
from pathlib import Path

import pytest

from gateway import doctor, settings
from gateway.doctor import State
from tests import servers

pytestmark = pytest.mark.live
TOPICS = ["suimon/v1/+/+/data"]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> servers.Server:  # type: ignore[misc]
    """A broker with a password, TLS beside the open port, and one user who may read nothing."""
    folder = tmp_path_factory.mktemp("broker")
    tls_port = servers.free_port()
    make = "req -x509 -newkey rsa:2048 -nodes -days 10 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run([servers.require("openssl"), *make.split(), *files], check=True, capture_output=True)
    for user in ("bridge", "mute"):
        new = ["-b"] if (folder / "users").exists() else ["-c", "-b"]
        subprocess.run([servers.require("mosquitto_passwd"), *new, str(folder / "users"), user, "right"], check=True)
    acl = "user bridge\ntopic readwrite suimon/v1/#\nuser mute\ntopic write suimon/v1/#\n"
    (folder / "acl").write_text(acl)
    lines = (
        f"listener {tls_port} 127.0.0.1\ncertfile {folder}/cert.pem\nkeyfile {folder}/key.pem\n"
        f"password_file {folder}/users\nacl_file {folder}/acl\nallow_anonymous false\n"
    )
    server = servers.mosquitto(folder, lines)
    conf = folder / "mosquitto.conf"
    conf.write_text(conf.read_text().replace("allow_anonymous true\n", ""))
    server.tls_port = tls_port  # type: ignore[attr-defined]
    with servers.running(server):
        yield server


@pytest.mark.parametrize(
    ("user", "password", "state", "says"),
    [
        ("bridge", "right", State.OK, "heard"),
        ("bridge", "wrong", State.FAIL, "no login as bridge"),
        (None, None, State.FAIL, "no login without a user name"),
        ("mute", "right", State.FAIL, "does not come back"),
    ],
)
def test_a_login_and_what_it_may(
    guarded: servers.Server, user: str | None, password: str | None, state: State, says: str
) -> None:
    """Password, no password, and the ACL that grants a subscription and delivers nothing."""
    found = doctor.broker(settings.Broker(port=guarded.port, username=user, password=password), "d", TOPICS, echo=True)
    assert found.state is state, found
    assert says in found.message
    assert "right" not in repr(found)


def test_a_certificate_is_believed_by_its_authority_only(guarded: servers.Server) -> None:
    """With its authority it is believed, and its few days are told; without, it is not; a port without TLS is named."""
    port = guarded.tls_port  # type: ignore[attr-defined]
    believed = settings.Broker(port=port, tls=settings.Tls(guarded.folder / "cert.pem"))
    found = doctor.tls(believed)
    assert found.state is State.WARN  # it ends in ten days
    assert "for 9 more days" in found.message
    stranger = doctor.tls(settings.Broker(port=port, tls=settings.Tls()))
    assert stranger.state is State.FAIL
    assert "not believed" in stranger.message
    plain = doctor.tls(settings.Broker(port=guarded.port, tls=settings.Tls(guarded.folder / "cert.pem")))
    assert (plain.state, plain.remedy) == (State.FAIL, "Is this the broker's port for TLS (8883)?")


def test_influxdb_1_is_asked_for_its_database(tmp_path: Path) -> None:
    """A real InfluxDB 1.6.7: without the database the command that makes it is named; with it all is well."""
    with servers.running(servers.influxdb(tmp_path / "influx")) as server:
        to = settings.Influx("v1", f"http://127.0.0.1:{server.port}", "flood")
        missing = next(iter(doctor.influx(to)))
        assert missing.state is State.FAIL
        assert missing.remedy == "'CREATE DATABASE \"flood\"'"
        query = urllib.request.Request(f"{to.url}/query?q=CREATE%20DATABASE%20flood", method="POST")
        urllib.request.urlopen(query, timeout=10).close()
        assert [f.state for f in doctor.influx(to)] == [State.OK]


def test_victoria_metrics_cannot_tell(tmp_path: Path) -> None:
    """A server with the write API alone is a doubt, not a failure."""
    with servers.running(servers.victoria_metrics(tmp_path / "vm")) as server:
        found = next(iter(doctor.influx(settings.Influx("v2", f"http://127.0.0.1:{server.port}", "flood"))))
    assert found.state is State.WARN, found

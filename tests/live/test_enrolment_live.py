"""A device joins, is replaced and is revoked, at a real mosquitto that reads what `suimon device` wrote."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from gateway import bundle, config
from gateway.clock import SystemClock
from gateway.profiles import Profile
from simulators.run import running as sensors_running
from simulators.sensor import Sensor
from tests import enrolment, servers
from tests.house import Steady

pytestmark = pytest.mark.live

ACL = """user bridge
topic read suimon/v1/#
topic write suimon/v1/+/+/receipt
topic write suimon/v1/+/+/cmd
topic write suimon/v1/_bridge/status
topic write suimon/v1/_bridge/who
"""
HOUSE = "a password of the house"
EDGE = """spool: {{path: {folder}/spool.db, commit_interval: 200ms}}
clock: {{trust: always}}
health: off
buses: {{mast: {{type: modbus_tcp, host: 127.0.0.1, port: {port}}}}}
sensors:
  gauge:
    station: {station}
    bus: mast
    profile: sim_river_gauge
    interval: 500ms
    channels: {{water_level: water_level}}
"""


@dataclass
class Site:
    """A gateway with its broker; `devices` is the folder that stands for the devices' cards."""

    folder: Path
    devices: Path
    broker: servers.Server

    def device(self, *arguments: str) -> str:
        done = enrolment.suimon("device", *arguments, "--config", self.folder)
        assert done.exit_code == 0, done.output
        return done.output

    def client(self, user: str, secret: str) -> Client:
        return Client(self.broker.port, user, secret)


class Client:
    """A session of somebody who has a name and a password."""

    def __init__(self, port: int, user: str, secret: str) -> None:
        self.answered, self.gone, self.answer = threading.Event(), threading.Event(), ""
        self.inbox: list[tuple[str, bytes]] = []
        self._subscribed = threading.Event()
        client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=user, clean_session=True, reconnect_on_failure=False
        )
        client.username_pw_set(user, secret)
        client.on_connect = self._connected
        client.on_disconnect = lambda *_: self.gone.set()
        client.on_subscribe = lambda *_: self._subscribed.set()
        client.on_message = lambda _c, _u, message: self.inbox.append((message.topic, message.payload))
        client.connect("127.0.0.1", port, keepalive=20)
        client.loop_start()
        assert self.answered.wait(10), "no CONNACK"
        self.client = client

    def _connected(self, _c: object, _u: object, _f: object, reason: object, _p: object) -> None:
        self.answer = str(reason)
        self.answered.set()

    def subscribe(self, topic: str) -> None:
        self.client.subscribe(topic, 1)
        assert self._subscribed.wait(10), "no SUBACK"

    def publish(self, topic: str, payload: bytes) -> None:
        self.client.publish(topic, payload, qos=1).wait_for_publish(10)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """mosquitto on password file and ACL of a gateway's folder, with a bridge's user made by mosquitto_passwd."""
    port = servers.free_port()
    bridge = f"""version: 1
store: {{path: {tmp_path}/store.db}}
broker: {{host: 127.0.0.1, port: {port}, username: bridge, password_file: bridge.password}}
clock: {{trust: always}}
enrolment:
  passwords: broker/passwd
  acl: broker/acl
  broker: {{host: 127.0.0.1, port: {port}}}
  pid_file: broker/mosquitto.pid
"""
    folder = enrolment.gateway(tmp_path / "gateway", bridge, ACL)
    (folder / "bridge.password").write_text(HOUSE)
    passwd = folder / "broker/passwd"
    passwd.write_text("")
    subprocess.run([servers.require("mosquitto_passwd"), "-b", str(passwd), "bridge", HOUSE], check=True)
    lines = f"password_file {passwd}\nacl_file {folder}/broker/acl\npid_file {folder}/broker/mosquitto.pid\n"
    server = servers.mosquitto(tmp_path / "mosquitto", lines, port)
    conf = tmp_path / "mosquitto/mosquitto.conf"
    conf.write_text(conf.read_text().replace("allow_anonymous true", "allow_anonymous false"))
    with servers.running(server):
        servers.wait_for("mosquitto's pid file", (folder / "broker/mosquitto.pid").exists)
        yield Site(folder, tmp_path / "devices", server)


def secret_of(file: Path) -> str:
    return bundle.decode(file.read_bytes(), file.name).credentials.password


def answer(site: Site, user: str, secret: str) -> str:
    client = site.client(user, secret)
    client.close()
    return client.answer


def wait_answer(site: Site, user: str, secret: str, wanted: str) -> None:
    """mosquitto reads its files when the signal reaches its loop."""
    servers.wait_for(f"{user}: {wanted}", lambda: answer(site, user, secret) == wanted)


def test_a_device_writes_its_own_topics_and_no_others(site: Site, tmp_path: Path) -> None:
    """What an enrolled device publishes on its own topics reaches the bridge; on another's topics, or as the bridge,
    nobody hears it. It reads its own receipt and no other."""
    for name in ("kasuga-01", "harbour-01"):
        site.device("add", f"takamatsu/{name}", "--bundle", str(tmp_path / f"{name}.bundle"))
    secret = secret_of(tmp_path / "kasuga-01.bundle")
    wait_answer(site, "takamatsu/kasuga-01", secret, "Success")
    bridge, device = site.client("bridge", HOUSE), site.client("takamatsu/kasuga-01", secret)
    try:
        bridge.subscribe("suimon/v1/#")
        device.subscribe("#")
        for topic in ("takamatsu/harbour-01/data", "takamatsu/kasuga-01/receipt", "_bridge/status", "other/x/data"):
            device.publish(f"suimon/v1/{topic}", b"forbidden")
        device.publish("suimon/v1/takamatsu/kasuga-01/data", b"mine")
        servers.wait_for("the device's word", lambda: bridge.inbox)
        assert bridge.inbox == [("suimon/v1/takamatsu/kasuga-01/data", b"mine")]
        bridge.publish("suimon/v1/takamatsu/harbour-01/receipt", b"another's")
        bridge.publish("suimon/v1/takamatsu/kasuga-01/receipt", b"its own")
        servers.wait_for("the device's receipt", lambda: device.inbox)
        assert device.inbox == [("suimon/v1/takamatsu/kasuga-01/receipt", b"its own")]
    finally:
        bridge.close()
        device.close()


def test_who_is_revoked_is_refused_at_once(site: Site, tmp_path: Path) -> None:
    """A revoked device is thrown out where it is connected, and refused from then on; its neighbours stay."""
    for name in ("kasuga-01", "harbour-01"):
        site.device("add", f"takamatsu/{name}", "--bundle", str(tmp_path / f"{name}.bundle"))
    users = {n: (f"takamatsu/{n}", secret_of(tmp_path / f"{n}.bundle")) for n in ("kasuga-01", "harbour-01")}
    for user in users.values():
        wait_answer(site, *user, "Success")
    device, neighbour = site.client(*users["kasuga-01"]), site.client(*users["harbour-01"])
    try:
        assert "the broker was told" in site.device("revoke", "takamatsu/kasuga-01", "--why", "stolen")
        assert device.gone.wait(10), "still connected"
        assert answer(site, *users["kasuga-01"]) == "Not authorized"
        assert not neighbour.gone.is_set()
    finally:
        device.close()
        neighbour.close()


@contextlib.contextmanager
def agent(folder: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`suimon edge run` on a device's folder, until the end of the block."""
    with log.open("ab") as out:
        arguments = [sys.executable, "-m", "gateway", "edge", "run", "--config", str(folder)]
        process = subprocess.Popen(arguments, stdout=out, stderr=out)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def stored(store: Path) -> list[tuple[str, int]]:
    """(log, samples) of every log of the series, in order."""
    sql = """SELECT l.log, count(*) FROM observations o
             JOIN channels c ON c.id = o.channel_id JOIN logs l ON l.id = o.log_id
             WHERE c.station = 'harbour' AND c.channel = 'water_level' AND o.value IS NOT NULL
             GROUP BY l.log ORDER BY min(o.id)"""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as db:
            return [(str(log), int(count)) for log, count in db.execute(sql).fetchall()]
    except sqlite3.OperationalError:
        return []


@pytest.fixture(scope="module")
def profile() -> Profile:
    return config.load_profiles(Path(), [])["sim_river_gauge"]


def test_a_new_card_takes_the_place_and_the_series_goes_on(site: Site, tmp_path: Path, profile: Profile) -> None:
    """A device is enrolled, joins and delivers; a second one takes its place: the first is thrown out and refused, the
    second delivers into the same series with a log of its own, and the list tells when and why."""
    sensor = Sensor("harbour", profile, Steady(1.2))
    store = tmp_path / "store.db"

    def joined(card: str, *act: str) -> Path:
        folder, file, edge = tmp_path / card, tmp_path / f"{card}.bundle", tmp_path / "harbour.yaml"
        edge.write_text(EDGE.format(folder=folder, port=sensor.port, station="harbour"))
        site.device(act[0], "takamatsu/harbour-01", *act[1:], "--edge", str(edge), "--bundle", str(file))
        wait_answer(site, "takamatsu/harbour-01", secret_of(file), "Success")
        done = enrolment.suimon("edge", "join", file, "--config", folder)
        assert done.exit_code == 0, done.output
        assert not file.exists()
        return folder

    arguments = [sys.executable, "-m", "gateway", "bridge", "run", "--config", str(site.folder)]
    with sensors_running([sensor], SystemClock(), tmp_path / "served"), (tmp_path / "bridge.log").open("wb") as log:
        bridge = subprocess.Popen(arguments, stdout=log, stderr=log)
        try:
            with agent(joined("card-1", "add"), tmp_path / "first.log"):
                servers.wait_for("samples of the first", lambda: sum(n for _, n in stored(store)) >= 2, 60)
                second = joined("card-2", "replace", "--why", "card broken")
                words = tmp_path / "first.log"
                servers.wait_for("the refusal of the first", lambda: "refuses us" in words.read_text(), 60)
            (only,) = stored(store)
            with agent(second, tmp_path / "second.log"):
                servers.wait_for("samples of the second", lambda: len(stored(store)) == 2, 60)
            assert stored(store)[0] == only
        finally:
            bridge.terminate()
            bridge.wait(30)
    listed = json.loads(site.device("list", "--json"))
    row = next(d for d in listed["devices"] if d["device"] == "harbour-01")
    assert (row["state"], row["why"], row["replaced"], row["stations"]) == ("enrolled", "card broken", 1, ["harbour"])
    assert row["last_seen"]
    sql = "SELECT station, body FROM journal WHERE kind = 'manual'"
    with contextlib.closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as db:
        ((station, body),) = db.execute(sql).fetchall()
    assert (station, "takamatsu/harbour-01 (card broken)" in body) == ("harbour", True)
    assert row["remarks"] == []


def test_the_brokers_files_keep_owner_and_mode(site: Site, tmp_path: Path) -> None:
    """What mosquitto could read before it can read afterwards."""
    passwd = site.folder / "broker/passwd"
    passwd.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(passwd, 0, 12)
    before = passwd.stat()
    site.device("add", "takamatsu/kasuga-01", "--bundle", str(tmp_path / "b"))
    after = passwd.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o600

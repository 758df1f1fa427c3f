"""The broker as it is deployed: the committed configuration, ACL and scripts in a real mosquitto, with real clients."""

from __future__ import annotations

import getpass
import os
import pwd
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from gateway import settings, wire
from tests.servers import Server, free_port, port_open, require, wait_for

pytestmark = pytest.mark.live

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
DEVICE, NEIGHBOUR, STRANGER = "takamatsu/kasuga-01", "takamatsu/harbour-01", "sanuki/kasuga-01"
USERS = (DEVICE, NEIGHBOUR, STRANGER, "bridge", "alerts", "health")
STATUS = wire.BRIDGE_STATUS
ALERT = "suimon/v1/takamatsu/_alerts/kasuga-bridge"


def password(user: str) -> str:
    return f"secret of {user}"


class Broker:
    """The committed files in a folder of their own, and mosquitto on them.

    Rewritten are only: the folders, the user that mosquitto drops to, and host and port of the two listeners.
    """

    def __init__(self, folder: Path, user: str | None = None) -> None:
        self.folder, self.data, self.etc = folder, folder / "data", folder / "etc"
        self.port, self.tls_port = free_port(), free_port()
        self.data.mkdir()
        shutil.copytree(DEPLOY / "mosquitto", self.etc)
        rewritten = {
            "/etc/mosquitto": str(self.etc),
            "/var/lib/mosquitto/": f"{self.data}/",
            "user mosquitto\n": f"user {user or getpass.getuser()}\n",
            "listener 1883 127.0.0.1\n": f"listener {self.port} 127.0.0.1\n",
            "listener 8883\n": f"listener {self.tls_port} 127.0.0.1\n",
        }
        self.conf = self.etc / "mosquitto.conf"
        for old, new in rewritten.items():
            files = [file for file in (self.conf, *self.etc.glob("conf.d/*.conf")) if old in file.read_text()]
            assert files, f"{old!r} is in no file any more"
            for file in files:
                file.write_text(file.read_text().replace(old, new))
        self._passwords()
        self._certificate()
        program = require("mosquitto")
        arguments = [program, "-c", str(self.conf)]
        self.server = Server("mosquitto", arguments, self.port, folder, lambda: port_open(self.port))

    def _passwords(self) -> None:
        self.passwd = self.etc / "passwd"
        self.passwd.touch(mode=0o600)
        for user in USERS:
            self.add_user(user)

    def add_user(self, user: str) -> None:
        """The line of deploy/README.md, with the password on it instead of typed."""
        subprocess.run([require("mosquitto_passwd"), "-b", str(self.passwd), user, password(user)], check=True)

    def _certificate(self) -> None:
        certs = self.etc / "certs"
        certs.mkdir()
        self.certificate = certs / "server.crt"
        arguments = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
        files = ["-keyout", str(certs / "server.key"), "-out", str(self.certificate)]
        names = ["-addext", "subjectAltName=IP:127.0.0.1"]
        subprocess.run([require("openssl"), *arguments.split(), *names, *files], check=True, capture_output=True)

    @property
    def pid(self) -> int:
        assert self.server._process is not None
        return self.server._process.pid

    @property
    def database(self) -> Path:
        return self.data / "mosquitto.db"

    @property
    def log(self) -> str:
        return (self.folder / "mosquitto.log").read_text(errors="replace")

    def starts(self) -> bool:
        """Whether it starts at all; it is ended again."""
        process = subprocess.Popen(self.server.arguments, stderr=subprocess.DEVNULL)
        try:
            wait_for("mosquitto up or ended", lambda: process.poll() is not None or port_open(self.port))
            return process.poll() is None
        finally:
            process.kill()
            process.wait()

    def set_aside_broken_db(self) -> str:
        script = [str(DEPLOY / "mosquitto/set-aside-broken-db"), str(self.database)]
        done = subprocess.run(["sh", *script], check=True, capture_output=True, text=True, timeout=90)
        assert done.stdout == ""
        return done.stderr


class Client:
    """A paho client of MQTT 3.1.1 that notes what comes; a context manager."""

    def __init__(
        self,
        broker: Broker,
        user: str | None,
        *,
        secret: str | None = None,
        client_id: str | None = None,
        clean: bool = True,
        tls: bool = False,
        subscribe: Sequence[str] = (),
        inflight: int = 20,
    ) -> None:
        self.inbox: SimpleQueue[tuple[str, bytes]] = SimpleQueue()
        self.answer, self.session_present, self.gone = "", False, threading.Event()
        self._again: set[bytes] = set()
        self._answered, self._subscribed = threading.Event(), threading.Event()
        self._client = client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=user or "nobody" if client_id is None else client_id,
            clean_session=clean,
        )
        if user is not None:
            client.username_pw_set(user, password(user) if secret is None else secret)
        if tls:
            client.tls_set(ca_certs=str(broker.certificate), cert_reqs=ssl.CERT_REQUIRED)
        client.max_inflight_messages_set(inflight)
        client.on_connect, client.on_message = self._connected, self._message
        client.on_subscribe = lambda *_: self._subscribed.set()
        client.on_disconnect = lambda *_: self.gone.set()
        self._to, self._subscribe = (broker.tls_port if tls else broker.port), subscribe

    def _connected(self, _c: paho.Client, _u: Any, flags: Any, reason: Any, _p: Any) -> None:
        self.answer, self.session_present = str(reason), flags.session_present
        self._answered.set()

    def _message(self, _c: paho.Client, _u: Any, message: paho.MQTTMessage) -> None:
        if message.dup:
            self._again.add(message.payload[:8])
        self.inbox.put((message.topic, message.payload))

    def __enter__(self) -> Client:
        self._client.connect("127.0.0.1", self._to, keepalive=20)
        self._client.loop_start()
        assert self._answered.wait(10), "no CONNACK"
        if self._subscribe:
            self._client.subscribe([(topic, 1) for topic in self._subscribe])
            assert self._subscribed.wait(10), "no SUBACK"
        return self

    def __exit__(self, _t: type[BaseException] | None, _e: BaseException | None, _b: TracebackType | None) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, topic: str, payload: bytes = b"x", *, retain: bool = False) -> None:
        """Until the PUBACK, which MQTT 3.1.1 sends for a forbidden message too."""
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(10)

    def pour(self, topic: str, payload: bytes, count: int) -> None:
        """Many messages, each with its number before the payload, until the last PUBACK."""
        for number in range(count):
            info = self._client.publish(topic, b"%08d" % number + payload[8:], qos=1)
        info.wait_for_publish(60)

    def next(self, timeout_s: float = 10.0) -> tuple[str, bytes]:
        try:
            return self.inbox.get(timeout=timeout_s)
        except Empty:
            pytest.fail(f"no message within {timeout_s:g} s")

    def numbers(self, count: int) -> list[int]:
        """Of so many messages that `pour` or `flood` numbered, in their order. One that came before may come again, as
        QoS 1 does after a connection that broke on a busy machine, but only marked so."""
        came: list[int] = []
        while len(came) < count:
            head = self.next()[1][:8]
            if not (head in self._again and int(head) < len(came)):
                came.append(int(head))
        return came

    def before(self, last: tuple[str, bytes]) -> list[tuple[str, bytes]]:
        """What came before the given message."""
        came = []
        while (message := self.next()) != last:
            came.append(message)
        return came


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One running broker for the tests that leave nothing behind."""
    found = Broker(tmp_path_factory.mktemp("broker"))
    found.server.start()
    yield found
    found.server.stop()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Broker]:
    """A broker of the test's own, not yet started."""
    found = Broker(tmp_path)
    yield found
    found.server.stop()


# --- who may write


def test_a_device_writes_all_its_own_topics_and_the_bridge_reads_them(broker: Broker) -> None:
    """Every kind of the wire contract that comes from a device arrives at the bridge."""
    sent = [f"suimon/v1/{DEVICE}/{kind}" for kind in wire.FROM_DEVICE]
    with Client(broker, "bridge", subscribe=["suimon/v1/#"]) as bridge, Client(broker, DEVICE) as device:
        for topic in sent:
            device.publish(topic, b"mine")
        assert [bridge.next() for _ in sent] == [(topic, b"mine") for topic in sent]


@pytest.mark.parametrize(
    "topic",
    [
        f"suimon/v1/{NEIGHBOUR}/data",
        f"suimon/v1/{STRANGER}/data",
        "suimon/v1/kasuga-01/takamatsu/data",
        f"suimon/v1/{DEVICE}",
        f"suimon/v1/{DEVICE}/data/more",
        f"suimon/v1/{DEVICE}/other",
        f"suimon/v1/{DEVICE}/receipt",
        f"suimon/v1/{DEVICE}/cmd",
        f"suimon/v1/{NEIGHBOUR}/receipt",
        STATUS,
        "suimon/v1/_bridge/data",
        ALERT,
        "suimon/v1/takamatsu/_alerts/kasuga-01",
        "suimon/v1/takamatsu/_alerts/status",
    ],
)
def test_a_device_writes_nowhere_else(broker: Broker, topic: str) -> None:
    """What a device publishes outside its own topics gets a PUBACK and reaches nobody."""
    last = (f"suimon/v1/{DEVICE}/data", b"allowed")
    with Client(broker, "bridge", subscribe=["suimon/v1/#"]) as bridge, Client(broker, DEVICE) as device:
        device.publish(topic, b"forbidden")
        device.publish(*last)
        assert bridge.before(last) == []


@pytest.mark.parametrize("user", ["alerts", "health"])
def test_readers_write_nothing(broker: Broker, user: str) -> None:
    """The users for reading alerts and for health checks cannot publish anything that anybody hears."""
    last = (f"suimon/v1/{DEVICE}/data", b"allowed")
    subscriber = Client(broker, "bridge", subscribe=["suimon/v1/#"])
    with subscriber as bridge, Client(broker, user) as reader, Client(broker, DEVICE) as device:
        for topic in (ALERT, STATUS, f"suimon/v1/{DEVICE}/data", f"suimon/v1/{DEVICE}/receipt"):
            reader.publish(topic, b"forbidden")
        device.publish(*last)
        assert bridge.before(last) == []


# --- who may read


def test_a_device_reads_its_receipt_its_commands_and_the_bridges_presence_alone(broker: Broker) -> None:
    """A device that subscribes to everything hears no other device, no receipt of another, no alert, no $SYS."""
    mine = [(f"suimon/v1/{DEVICE}/receipt", b"1"), (STATUS, b"2")]
    last = (f"suimon/v1/{DEVICE}/cmd", b"3")
    everything = Client(broker, DEVICE, subscribe=["#", "$SYS/#"])
    with Client(broker, "bridge") as bridge, Client(broker, NEIGHBOUR) as neighbour, everything as device:
        neighbour.publish(f"suimon/v1/{NEIGHBOUR}/data")
        bridge.publish(f"suimon/v1/{NEIGHBOUR}/receipt")
        bridge.publish(f"suimon/v1/{STRANGER}/receipt")
        bridge.publish(f"suimon/v1/{NEIGHBOUR}/cmd")
        bridge.publish(ALERT)
        for message in (*mine, last):
            bridge.publish(*message)
        assert device.before(last) == mine


def test_a_reader_of_alerts_reads_alerts_alone(broker: Broker) -> None:
    """A board that subscribes to everything hears the alerts of every tenant, and the bridge's presence."""
    last = ("suimon/v1/sanuki/_alerts/weir", b"2")
    everything = Client(broker, "alerts", subscribe=["#"])
    with Client(broker, "bridge") as bridge, Client(broker, DEVICE) as device, everything as board:
        device.publish(f"suimon/v1/{DEVICE}/data")
        bridge.publish(f"suimon/v1/{DEVICE}/receipt")
        bridge.publish(STATUS, b"0")
        bridge.publish(ALERT, b"1")
        bridge.publish(*last)
        assert board.before(last) == [(STATUS, b"0"), (ALERT, b"1")]


# --- who may connect


@pytest.mark.parametrize(
    ("user", "secret", "client_id"),
    [(None, None, "nobody"), (DEVICE, "wrong", DEVICE), ("takamatsu/unknown", "x", "x")],
    ids=["anonymous", "wrong password", "unknown user"],
)
def test_who_is_not_in_the_password_file_is_refused(
    broker: Broker, user: str | None, secret: str | None, client_id: str
) -> None:
    """Nobody comes in without a user name and its password."""
    with Client(broker, user, secret=secret, client_id=client_id) as client:
        assert client.answer == "Not authorized"


def connack(port: int, packet: bytes) -> bytes:
    """What a listener answers to a packet as it is; paho would not send these."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as s:
        s.sendall(packet)
        try:
            return s.recv(4)
        except ConnectionResetError:
            return b""


def test_an_invented_client_id_is_refused(broker: Broker) -> None:
    """A client has to bring an id: an id made up by the broker would leave a session behind at every start."""
    without_id = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x14\x00\x00"
    assert connack(broker.port, without_id) == b"\x20\x02\x00\x02"  # identifier rejected


def test_devices_come_in_over_tls_only(broker: Broker) -> None:
    """The devices' listener speaks TLS and nothing else; a device gets through with the right certificate."""
    with Client(broker, "bridge", subscribe=["suimon/v1/#"]) as bridge, Client(broker, DEVICE, tls=True) as device:
        assert device.answer == "Success"
        device.publish(f"suimon/v1/{DEVICE}/data", b"over TLS")
        assert bridge.next() == (f"suimon/v1/{DEVICE}/data", b"over TLS")
    assert not connack(broker.tls_port, b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x14\x00\x01x").startswith(b"\x20")


def test_a_device_cannot_take_the_bridges_session(broker: Broker) -> None:
    """A device that names itself as the bridge does neither throws it out nor gets or empties its queue."""
    name, data = "suimon-bridge-live", f"suimon/v1/{DEVICE}/data"
    with Client(broker, "bridge", client_id=name, clean=False, subscribe=["suimon/v1/#"]) as bridge:
        with Client(broker, DEVICE, client_id=name, clean=False, tls=True) as thief:
            assert not thief.session_present
            thief.publish(data, b"1")
            assert bridge.next() == (data, b"1")
        assert not bridge.gone.is_set()
    with Client(broker, NEIGHBOUR) as neighbour:
        neighbour.publish(f"suimon/v1/{NEIGHBOUR}/data", b"queued")
    with Client(broker, DEVICE, client_id=name, clean=True, tls=True) as thief:
        assert thief.answer == "Success"
    with Client(broker, "bridge", client_id=name, clean=False) as bridge:
        assert bridge.session_present
        assert bridge.next() == (f"suimon/v1/{NEIGHBOUR}/data", b"queued")
    with Client(broker, "bridge", client_id=name, clean=True):
        pass  # leaves no session behind


def test_a_device_added_to_the_password_file_comes_in_after_a_reload(own: Broker) -> None:
    """The line of the README and a SIGHUP let a new device in; who is connected stays connected."""
    user = "takamatsu/new-01"
    own.server.start()
    with Client(own, DEVICE) as old:
        with Client(own, user) as early:
            assert early.answer == "Not authorized"
        own.add_user(user)
        os.kill(own.pid, signal.SIGHUP)
        wait_for("the new device comes in", lambda: _answer(own, user) == "Success", 10)
        assert not old.gone.is_set()


def _answer(broker: Broker, user: str) -> str:
    with Client(broker, user) as client:
        return client.answer


def test_files_for_root_and_mosquitto_only_are_enough() -> None:
    """Started as root, with password file, ACL and key of mode 0640 and group mosquitto, it drops root and serves;
    with files for root alone it does not start, which is why the README says so."""
    if os.geteuid() != 0:
        pytest.skip("only root can start mosquitto as root")
    require("mosquitto")
    try:
        group = pwd.getpwnam("mosquitto").pw_gid
    except KeyError:
        pytest.skip("there is no user mosquitto")
    folder = Path(tempfile.mkdtemp(prefix="suimon-broker-"))  # pytest's own folders are closed to other users
    folder.chmod(0o755)
    broker = Broker(folder, user="mosquitto")
    try:
        shutil.chown(broker.data, "mosquitto")
        secrets = (broker.passwd, broker.etc / "acl", broker.etc / "certs/server.key")
        for secret in secrets:
            secret.chmod(0o600)
        assert not broker.starts()
        for secret in secrets:
            os.chown(secret, 0, group)
            secret.chmod(0o640)
        broker.server.start()
        assert Path(f"/proc/{broker.pid}").owner() == "mosquitto"
        assert _answer(broker, DEVICE) == "Success"
    finally:
        broker.server.stop()
        shutil.rmtree(folder)


# --- what is queued, and what survives


def test_a_queue_survives_a_restart_of_the_broker(own: Broker) -> None:
    """More than mosquitto's default of 1,000 messages, sent while the bridge was away, arrive in order after the broker
    was stopped and started, and so does what was sent after the restart and before the bridge came back."""
    data, name = f"suimon/v1/{DEVICE}/data", "suimon-bridge-live"
    own.server.start()
    with Client(own, "bridge", client_id=name, clean=False, subscribe=["suimon/v1/+/+/data"]):
        pass
    with Client(own, DEVICE, inflight=1000) as device:
        device.pour(data, b"before the restart", 3000)
        device.publish(f"suimon/v1/{DEVICE}/status", b"online", retain=True)
    own.server.stop()
    assert own.database.stat().st_size > 3000 * len(data)
    own.server.start()
    with Client(own, DEVICE) as device:
        device.pour(data, b"after", 10)
    with Client(own, "bridge", client_id=name, clean=False) as bridge:
        assert bridge.session_present
        came = [bridge.next()[1] for _ in range(3010)]
    assert came == [b"%08d" % i + b"before the restart"[8:] for i in range(3000)] + [b"%08d" % i for i in range(10)]
    with Client(own, "bridge", subscribe=["suimon/v1/+/+/status"]) as bridge:
        assert bridge.next() == (f"suimon/v1/{DEVICE}/status", b"online")


def figures() -> dict[str, float]:
    """The figures and results of mosquitto.conf, of which tests/test_deploy.py checks that they agree."""
    text = (DEPLOY / "mosquitto/mosquitto.conf").read_text()
    return {name: float(number) for name, number in re.findall(r"^# (\w+) +=(?:.*=)? *([\d.]+)(?:\s|$)", text, re.M)}


def flood(broker: Broker, topic: str, payload: bytes, count: int) -> None:
    """As `Client.pour`, for numbers that would take paho a minute."""

    def text(value: str) -> bytes:
        return len(value.encode()).to_bytes(2) + value.encode()

    def packet(kind: int, body: bytes) -> bytes:
        length, left = b"", len(body)
        while left > 127:
            length, left = length + bytes([left % 128 | 128]), left // 128
        return bytes([kind]) + length + bytes([left]) + body

    with socket.create_connection(("127.0.0.1", broker.port), timeout=60) as s:
        hello = text("MQTT") + b"\x04\xc2\x00\x3c" + text(DEVICE) + text(DEVICE) + text(password(DEVICE))
        s.sendall(packet(0x10, hello))
        answers = s.makefile("rb")
        assert answers.read(4) == b"\x20\x02\x00\x00"
        for first in range(0, count, 500):
            numbers = range(first, min(first + 500, count))
            head = [text(topic) + (n - first + 1).to_bytes(2) + b"%08d" % n for n in numbers]
            s.sendall(b"".join(packet(0x32, h + payload[8:]) for h in head))
            assert answers.read(4 * len(numbers))[::4] == b"\x40" * len(numbers)


@pytest.mark.slow
def test_the_stated_queue_fits_the_stated_memory_and_no_more_is_kept(own: Broker) -> None:
    """Both sessions of an absent bridge at their limits, through a restart: the stated number is delivered, what came
    after it is gone in spite of its PUBACK, and the broker never took more memory than the service may."""
    stated = figures()
    count, size = int(stated["max_queued_messages"]), int(stated["live_bytes"])
    pack = 12_500
    packs = int(stated["max_queued_bytes"]) // pack
    own.server.start()
    for kind in ("data", "backlog"):
        topics = [f"suimon/v1/+/+/{kind}"]
        with Client(own, "bridge", client_id=f"suimon-bridge-{kind}", clean=False, subscribe=topics):
            pass
    flood(own, f"suimon/v1/{DEVICE}/backlog", b"x" * pack, packs)
    flood(own, f"suimon/v1/{DEVICE}/data", b"x" * size, count + 1000)
    assert "Outgoing messages are being dropped for client suimon-bridge-data" in own.log
    peak = _peak_memory(own)
    own.server.stop()
    own.server.start()
    with Client(own, "bridge", client_id="suimon-bridge-data", clean=False) as bridge:
        assert [n for place, n in enumerate(bridge.numbers(count)) if n != place][:3] == []
        with Client(own, DEVICE) as device:
            device.publish(f"suimon/v1/{DEVICE}/data", b"the present")
        assert bridge.next() == (f"suimon/v1/{DEVICE}/data", b"the present")
    with Client(own, "bridge", client_id="suimon-bridge-backlog", clean=False) as bridge:
        assert [n for place, n in enumerate(bridge.numbers(packs)) if n != place][:3] == []
    peak = max(peak, _peak_memory(own))
    assert stated["memory_bytes"] / 2 < peak < stated["memory_bytes"] * 1.5


def _peak_memory(broker: Broker) -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{broker.pid}/status").read_text())
    assert found
    return int(found[1]) * 1024


def test_the_bridge_hears_of_a_payload_that_is_too_long(broker: Broker) -> None:
    """A payload longer than the bridge accepts still reaches it, to become a dead letter; only far beyond that the
    broker ends the connection."""
    data, limit = f"suimon/v1/{DEVICE}/data", settings.Bridge.__dataclass_fields__["max_payload"].default
    with Client(broker, "bridge", subscribe=["suimon/v1/#"]) as bridge, Client(broker, DEVICE) as device:
        device.publish(data, b"x" * (limit + 1))
        assert len(bridge.next()[1]) == limit + 1
        device._client.publish(data, b"x" * int(figures()["max_packet_size"]), qos=1)
        assert device.gone.wait(10)


# --- a broken database


def broken(database: Path, how: str) -> None:
    whole = database.read_bytes()
    middle = len(whole) // 2
    content = {
        "null bytes": bytes(len(whole)),
        "five bytes": whole[:5],
        "cut short": whole[: middle + 7],
        "a hole": whole[:middle] + bytes(4096) + whole[middle + 4096 :],
    }
    database.write_bytes(content[how])


@pytest.mark.parametrize("how", ["null bytes", "five bytes", "cut short", "a hole"])
def test_the_broker_starts_whatever_a_power_cut_left(own: Broker, how: str) -> None:
    """A database that mosquitto refuses is set aside under its date, whole, and the broker starts."""
    own.server.start()
    with Client(own, "bridge", client_id="b", clean=False, subscribe=["suimon/v1/#"]):
        pass
    with Client(own, DEVICE) as device:
        device.pour(f"suimon/v1/{DEVICE}/data", b"x" * 200, 200)
    own.server.stop()
    broken(own.database, how)
    if how != "a hole":  # which mosquitto skips, with a line of log for every eight bytes
        assert not own.starts()
    left = own.database.read_bytes()
    said = own.set_aside_broken_db()
    aside = list(own.data.glob("mosquitto.db.broken-*"))
    assert [file.read_bytes() for file in aside] == [left]
    assert re.fullmatch(r"mosquitto\.db\.broken-\d{8}T\d{6}Z", aside[0].name)
    assert aside[0].name in said
    own.server.start()
    assert _answer(own, DEVICE) == "Success"


def test_a_good_database_is_left_alone(own: Broker) -> None:
    """The check neither touches a database that the broker reads, nor says anything, nor leaves a process behind."""
    own.server.start()
    with Client(own, "bridge", client_id="b", clean=False, subscribe=["suimon/v1/#"]):
        pass
    with Client(own, DEVICE) as device:
        device.pour(f"suimon/v1/{DEVICE}/data", b"x" * 200, 50)
    own.server.stop()
    before = own.database.read_bytes()
    assert own.set_aside_broken_db() == ""
    assert own.database.read_bytes() == before
    assert [file.name for file in own.data.iterdir()] == ["mosquitto.db"]
    own.server.start()
    with Client(own, "bridge", client_id="b", clean=False) as bridge:
        assert [int(bridge.next()[1][:8]) for _ in range(50)] == list(range(50))


def test_no_database_or_an_empty_one_is_no_reason_to_act(own: Broker) -> None:
    """Before the first start there is nothing to check; an empty file the broker takes as none."""
    assert own.set_aside_broken_db() == ""
    own.database.touch()
    assert own.set_aside_broken_db() == ""
    assert own.starts()


def test_a_broker_that_cannot_start_at_all_costs_no_database(own: Broker, tmp_path: Path) -> None:
    """Where mosquitto fails for a reason of its own, the database is not blamed."""
    own.server.start()
    own.server.stop()
    fake = tmp_path / "bin/mosquitto"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\nexit 1\n")
    fake.chmod(0o755)
    script = ["sh", str(DEPLOY / "mosquitto/set-aside-broken-db"), str(own.database), "echo", "and then this"]
    path = f"{fake.parent}:{os.environ['PATH']}"
    done = subprocess.run(script, check=True, capture_output=True, text=True, env={"PATH": path}, timeout=60)
    assert (done.stdout, done.stderr) == ("and then this\n", "")
    assert own.database.exists()


def test_three_broken_databases_are_kept(own: Broker) -> None:
    """Every power cut may leave one as large as a full queue: the newest three stay."""
    for year in range(2020, 2025):
        (own.data / f"mosquitto.db.broken-{year}0101T000000Z").touch()
    own.database.write_bytes(bytes(100))
    own.set_aside_broken_db()
    kept = sorted(file.name for file in own.data.iterdir())
    assert len(kept) == 3
    assert kept[:2] == ["mosquitto.db.broken-20230101T000000Z", "mosquitto.db.broken-20240101T000000Z"]


# --- the health checks of the containers


def test_the_health_check_of_the_broker_gets_its_answer(broker: Broker) -> None:
    """The user of the health checks hears how long the broker has been up."""
    with Client(broker, "health", subscribe=["$SYS/broker/uptime"]) as health:
        assert health.next(30)[0] == "$SYS/broker/uptime"


def test_the_health_check_of_the_bridge_follows_its_status(own: Broker, tmp_path: Path) -> None:
    """Not healthy without a status, healthy while online, not healthy once the last will said offline."""
    own.server.start()
    secret = tmp_path / "mqtt_health"
    secret.write_text(password("health") + "\n")
    arguments = [sys.executable, str(DEPLOY / "bridge/health.py"), "127.0.0.1", str(own.port), "health", str(secret)]

    def check() -> tuple[int, str]:
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=30, cwd=DEPLOY.parent)
        return done.returncode, done.stdout

    with Client(own, "bridge") as bridge:
        assert check() == (1, "bridge: no status within 5 s\n")
        bridge.publish(STATUS, wire.encode(wire.BridgeStatus("online", "b61c")), retain=True)
        assert check() == (0, "bridge: online\n")
        bridge.publish(STATUS, wire.encode(wire.BridgeStatus("offline", "b61c")), retain=True)
        assert check() == (1, "bridge: offline\n")


# --- the whole of it


def process(command: str, config: Path) -> subprocess.Popen[bytes]:
    with (config / f"{command}.log").open("wb") as log:
        arguments = [sys.executable, "-m", "gateway", command, "run", "--config", str(config)]
        return subprocess.Popen(arguments, stdout=log, stderr=log, cwd=DEPLOY.parent)


def test_bridge_and_agent_as_configured_here_meet_on_this_broker(own: Broker, tmp_path: Path) -> None:
    """The example configurations, with only hosts, ports, paths and the interval rewritten: the bridge comes online,
    the agent delivers over TLS under its own user, and gets the receipt for its own log."""
    config = tmp_path / "config"
    shutil.copytree(DEPLOY / "config", config)
    shutil.copy(DEPLOY / "edge/edge.yaml", config)
    for name, secret in (
        ("mqtt_bridge", password("bridge")),
        ("influx_token", "x"),
        ("mqtt.password", password(DEVICE)),
    ):
        (config / name).write_text(secret)
    rewritten = {
        "bridge.yaml": {
            "/var/lib/suimon": str(tmp_path),
            "/run/secrets": str(config),
            "host: mosquitto, port: 1883": f"host: 127.0.0.1, port: {own.port}",
            "http://influxdb:8086": f"http://127.0.0.1:{free_port()}",
            "watch: {port: 9464}": f"watch: {{port: {free_port()}}}",
        },
        "edge.yaml": {
            "/var/lib/suimon": str(tmp_path),
            "/etc/suimon": str(config),
            "host: mqtt.example\n  port: 8883": f"host: 127.0.0.1\n  port: {own.tls_port}",
            "tls: true": f"tls: {{ca_file: {own.certificate}}}",
            "host: 192.0.2.10, port: 502": f"host: 127.0.0.1, port: {free_port()}",
            "interval: 60s": "interval: 1s",
            "clock: {trust: system}": "clock: {trust: always}",  # nobody may be setting the one of this machine
            "interval: 10s": "interval: 0.5s",
        },
    }
    for name, words in rewritten.items():
        text = (config / name).read_text(encoding="utf-8")
        for old, new in words.items():
            assert old in text
            text = text.replace(old, new)
        (config / name).write_text(text, encoding="utf-8")
    own.server.start()
    started = [process("bridge", config), process("edge", config)]
    try:
        with Client(own, "bridge", subscribe=[f"suimon/v1/{DEVICE}/receipt"]) as watcher:
            while not (logs := wire.decode_receipt(watcher.next(30)[1]).logs) or not logs[0].through:
                pass
    finally:
        for running in started:
            running.terminate()
        ends = [running.wait(20) for running in started]
    assert ends == [0, 0]

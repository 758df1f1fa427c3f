"""The doctor finds what is broken, says where, and names a remedy; what is well it leaves alone."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from gateway import doctor, settings, storefile
from gateway.bridge.store import Store
from gateway.clock import SystemClock
from gateway.doctor import Finding, State
from simulators.bulletinfeed import BulletinFeed
from tests import readme
from tests.servers import free_port
from tests.world import Reply, http_server

SYNCED, UNSYNCED = 0, 0x40


def states(findings: list[Finding]) -> list[tuple[str, State]]:
    return [(f.name, f.state) for f in findings]


@pytest.mark.parametrize(
    ("status", "marker", "believed", "state"),
    [
        (SYNCED, False, False, State.OK),
        (UNSYNCED, True, False, State.WARN),
        (UNSYNCED, False, False, State.FAIL),
        (UNSYNCED, False, True, State.WARN),
        (None, False, False, State.FAIL),
    ],
)
def test_the_clock_is_well_only_where_somebody_sets_it(
    tmp_path: Path, status: int | None, marker: bool, believed: bool, state: State
) -> None:
    """Synchronised, once synchronised, never; and never but trusted by configuration."""
    file = tmp_path / "synchronized"
    if marker:
        file.touch()
    found = doctor.clock(SystemClock(lambda: status, file), believed)
    assert found.state is state
    assert bool(found.remedy) == (state is not State.OK)


@pytest.mark.parametrize(("hours", "state"), [(9, State.OK), (0, State.WARN), (-9, State.WARN)])
def test_a_server_shows_the_times_of_the_messages(hours: int, state: State) -> None:
    """Where the command line would read 14:10 as another moment than a message says, that is told."""
    found = doctor.zone(timedelta(hours=hours), "X")
    assert (found.state, bool(found.remedy)) == (state, state is State.WARN)


def test_a_disk_is_written_and_left_as_it_was(tmp_path: Path) -> None:
    """A sound folder is well and nothing of the look remains in it."""
    found = list(doctor.disk(tmp_path / "spool.db", 1000))
    assert State.FAIL not in [f.state for f in found]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """It is named with the command that makes it."""
    (found,) = doctor.disk(tmp_path / "missing" / "spool.db", 1000)
    assert (found.state, found.remedy) == (State.FAIL, f"sudo mkdir -p {tmp_path / 'missing'}")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    """The finding names the user and where to look."""
    tmp_path.chmod(0o500)
    (found,) = doctor.disk(tmp_path / "spool.db", 1000)
    assert found.state is State.FAIL
    assert "must belong to the user" in found.remedy


@pytest.mark.skipif(doctor.filesystem(Path("/dev/shm")) != "tmpfs", reason="/dev/shm is not in memory here")
@pytest.mark.parametrize(
    ("where", "state", "says"),
    [(".", State.OK, "writable"), ("a/b", State.OK, "can be made"), ("file", State.FAIL, "cannot be written")],
)
def test_a_folder_that_is_made_where_it_is_missing(tmp_path: Path, where: str, state: State, says: str) -> None:
    """It is there, it can be made, or something else is in its place; nothing is left behind."""
    (tmp_path / "file").touch()
    found = doctor.folder("CAP folder", tmp_path / where)
    assert (found.state, says in found.message, bool(found.remedy)) == (state, True, state is State.FAIL)
    assert [x.name for x in tmp_path.iterdir()] == ["file"]


def test_a_spool_in_memory_is_no_spool(tmp_path: Path) -> None:
    """What is lost at a restart keeps no promise."""
    found = list(doctor.disk(Path("/dev/shm/spool.db"), None))
    assert [f.state for f in found] == [State.OK, State.FAIL]
    assert found[1].message == "tmpfs: everything is lost at a restart"


def test_a_disk_smaller_than_the_ceiling(tmp_path: Path) -> None:
    """A ceiling above what the disk holds is told before the disk is full, with what would fit."""
    found = list(doctor.disk(tmp_path / "spool.db", 10**18))
    assert found[-1].state is State.WARN
    assert "lower max_size" in found[-1].remedy


# --- files


def _later(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")


def _broken(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 8192)


def _beside(path: Path) -> None:
    path.with_name("store.db.damaged-20260101T000000Z").touch()


@pytest.mark.parametrize(
    ("spoil", "state", "message"),
    [
        (lambda _: None, State.OK, "sound, not in use"),
        (_later, State.FAIL, f"version 99; this suimon knows {storefile.VERSION}"),
        (_broken, State.FAIL, ""),
        (_beside, State.WARN, "a damaged one lies beside it: store.db.damaged-20260101T000000Z"),
        (Path.unlink, State.OK, "not there yet"),
    ],
)
def test_a_store_is_looked_at(tmp_path: Path, spoil: Callable[[Path], None], state: State, message: str) -> None:
    """Sound, of a later version, damaged, once damaged, or not there yet."""
    path = tmp_path / "store.db"
    Store(path).close()
    spoil(path)
    found = doctor.database("store", path, storefile.VERSION)
    assert found.state is state, found
    assert message in found.message
    assert bool(found.remedy) == (state is not State.OK)


def test_a_store_in_use_is_seen_and_not_disturbed(tmp_path: Path) -> None:
    """The lock tells, and looking does not take it."""
    path = tmp_path / "store.db"
    assert not doctor.is_running(path)
    store = Store(path)
    try:
        assert doctor.is_running(path)
        assert "in use" in doctor.database("store", path, storefile.VERSION).message
    finally:
        store.close()
    assert not doctor.is_running(path)
    Store(path).close()


@pytest.mark.parametrize(("mode", "state"), [(0o600, State.OK), (0o640, State.OK), (0o644, State.WARN)])
def test_a_secret_that_anybody_can_read(tmp_path: Path, mode: int, state: State) -> None:
    """A password for all users of the machine is told, with the command that mends it."""
    path = tmp_path / "password"
    path.write_text("x")
    path.chmod(mode)
    assert doctor.secret(path).state is state


# --- network


def test_nobody_answers() -> None:
    """A closed port and a name that does not exist are told apart."""
    closed = doctor.reach("network", "127.0.0.1", free_port(), "up?")
    assert (closed.state, closed.remedy) == (State.FAIL, "up?")
    unknown = doctor.reach("network", "no-such-host.invalid", 1883, "up?")
    assert unknown.state is State.FAIL
    assert unknown.message.startswith("no such host")


def test_a_port_that_speaks_something_else_is_no_broker() -> None:
    """A server that accepts and says nothing, or HTTP, does not pass for a broker."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        broker = settings.Broker(port=silent.getsockname()[1])
        found = doctor.broker(broker, "doctor-test", ["a/b"], echo=False)
    assert found.state is State.FAIL
    assert "is this its MQTT port" in found.remedy


def _influx(api: str, url: str) -> settings.Influx:
    return settings.Influx(api, url, "flood", token="t0ken", username="u", password="s3cret")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("api", "status", "body", "state", "says"),
    [
        ("v1", 200, b'{"results":[{"series":[{"values":[["flood"],["_internal"]]}]}]}', State.OK, "database flood"),
        ("v1", 200, b'{"results":[{"series":[{"values":[["other"]]}]}]}', State.FAIL, "no database flood"),
        ("v1", 401, b'{"error":"authorization failed"}', State.FAIL, "refuses us (401)"),
        ("v1", 200, b"<html>Welcome to the hotel</html>", State.FAIL, "no database flood"),
        ("v2", 200, b'{"buckets":[{"name":"flood"}]}', State.OK, "bucket flood"),
        ("v2", 404, b'{"code":"not found","message":"bucket \\"flood\\" not found"}', State.FAIL, "no bucket flood"),
        ("v2", 404, b"404 page not found", State.WARN, "no API that would tell"),
        ("v2", 403, b"", State.FAIL, "refuses us (403)"),
        ("v2", 500, b"oops", State.FAIL, "(500)"),
    ],
)
def test_influxdb_is_asked_what_it_has(api: str, status: int, body: bytes, state: State, says: str) -> None:
    """Database or bucket, credentials, and servers that cannot tell; no secret in any answer."""
    with http_server(lambda _: Reply(status, body)) as server:
        found = list(doctor.influx(_influx(api, server.url)))
    assert found[0].state is state
    assert says in found[0].message
    assert not any(x in repr(found) for x in ("t0ken", "s3cret"))


@pytest.mark.parametrize(
    ("ahead_s", "says"), [(7200.0, ["2 h ahead of"]), (-90.0, ["1 min 30 s behind"]), (3.0, []), (-3.0, [])]
)
def test_two_clocks_that_disagree(ahead_s: float, says: list[str]) -> None:
    """InfluxDB's own time tells of a clock that is wrong though it says it is set; a slow network does not."""
    found = [f.message for f in doctor.offset("http://x", ahead_s)]
    assert len(found) == len(says)
    assert all(words in message for words, message in zip(says, found, strict=True))


def test_no_influxdb() -> None:
    """An absent one is told as what it means: points wait."""
    (found,) = doctor.influx(_influx("v1", f"http://127.0.0.1:{free_port()}"))
    assert (found.state, found.remedy) == (State.FAIL, "Points wait in the store. Is it up?")


@pytest.mark.parametrize(
    ("status", "body", "state", "says"),
    [
        (200, b"[]", State.OK, "answers as NGSIv2"),
        (200, b"<html>Welcome to the hotel</html>", State.FAIL, "not as a context broker"),
        (401, b'{"error":"Unauthorized"}', State.FAIL, "does not answer us (401"),
        (400, b'{"error":"BadRequest"}', State.FAIL, "does not answer us (400"),
        (503, b"", State.FAIL, "does not answer us (503"),
    ],
)
def test_a_context_broker_is_asked_by_each_service(status: int, body: bytes, state: State, says: str) -> None:
    """Of the tenants that have one and of the others; it is only asked, and no secret stands in any answer."""
    with http_server(lambda _: Reply(status, body)) as server:
        to = settings.Orion(server.url, "others", {"takamatsu": "city"}, "/flood", "t0ken")
        found = list(doctor.context_broker(to))
        asked = [(r.headers["Fiware-Service"], r.path.partition("?")[0], r.body) for r in server.requests]
    assert asked == [("city", "/v2/entities", b""), ("others", "/v2/entities", b"")]
    assert [f.state for f in found] == [state, state]
    assert says in found[0].message
    assert "t0ken" not in repr(found)


def test_no_context_broker() -> None:
    """An absent one is told once, as what it means."""
    to = settings.Orion(f"http://127.0.0.1:{free_port()}", services={"a": "a", "b": "b"}, timeout_s=5.0)
    (found,) = doctor.context_broker(to)
    assert (found.state, found.remedy) == (State.FAIL, "The latest values of then go when it is back. Is it up?")


def test_the_feed_of_bulletins_is_looked_at() -> None:
    """That it answers, that it is one, and how many of its entries are asked for; each of the two alone."""
    feed = BulletinFeed()
    try:
        feed.issue("大雨警報")
        feed.issue("大雨警報", office="高知地方気象台")
        to = settings.Bulletins(f"{feed.url}/extra.xml", f"{feed.url}/nowhere", ("高松",), (), {"高松市": ""})
        well, away = doctor.bulletins(to)
        feed.mode = "broken"
        no_feed, _ = doctor.bulletins(to)
    finally:
        feed.stop()
    assert (well.state, well.message) == (State.OK, "answers; 1 of its 2 bulletins are of these offices and titles")
    assert (away.state, away.message) == (State.FAIL, "answer 404")
    assert (no_feed.state, no_feed.message) == (State.FAIL, "answers, and it is not an Atom feed")


def test_a_serial_port_is_looked_for_and_not_opened(tmp_path: Path) -> None:
    """A port that is not there, or is a file, is told with its remedy; a line that is there is well."""
    (tmp_path / "file").touch()
    missing, file = doctor.port("bus", str(tmp_path / "ttyUSB0")), doctor.port("bus", str(tmp_path / "file"))
    assert (missing.state, file.state) == (State.FAIL, State.FAIL)
    assert "plugged in" in missing.remedy
    line, end = os.openpty()
    try:
        assert doctor.port("bus", os.ttyname(end)) == Finding("bus", os.ttyname(end), State.OK, "is there")
    finally:
        os.close(line)
        os.close(end)


def test_a_webhook_is_reached_and_not_called() -> None:
    """Nothing is sent, and its address, often a secret, is shown as host and port only."""
    with http_server(lambda _: Reply(204)) as server:
        found = doctor.url("to desk", f"{server.url}/hooks/s3cret")
        assert found.state is State.OK
        assert server.requests == []
        assert "s3cret" not in repr(found)


# --- the command


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", "doctor", "--config", str(folder), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_the_json_is_a_stable_object(tmp_path: Path) -> None:
    """Scripts read version, healthy and the findings with name, place, state, message, remedy."""
    done = run(readme.write_configuration(tmp_path), "--json")
    said = json.loads(done.stdout)
    assert (said["version"], said["healthy"], done.returncode) == (1, False, 1)  # no broker is up here
    assert {"config", "clock", "disk", "spool", "store", "network"} <= {f["name"] for f in said["findings"]}
    assert all(set(f) == {"name", "place", "state", "message", "remedy"} for f in said["findings"])
    assert all(f["remedy"] for f in said["findings"] if f["state"] in ("warn", "fail"))


def test_a_configuration_with_mistakes_is_the_only_finding(tmp_path: Path) -> None:
    """Nothing else can be known, and `suimon check` is named."""
    config = readme.write_configuration(tmp_path)
    readme.spoil(config)
    done = run(config)
    assert done.returncode == 1
    assert "suimon check" in done.stdout
    assert "1 looked at, 1 failing" in done.stdout

"""What keeps a house from working, looked for from inside: one probe for each thing outside our own code, each with
what was found and what to do. Probes change nothing but a file of their own that they remove again.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import secrets
import socket
import sqlite3
import ssl
import stat
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from pathlib import Path

from gateway import mqtt, settings, units
from gateway.clock import Clock
from gateway.edge.buses import sysfs
from gateway.model import ClockState
from gateway.profiles import Profile

TIMEOUT_S = 5.0
SLOW_SYNC_S = 0.5  # of a small file: a card or disk that will hold up every commit
CERTIFICATE_DAYS = 30
CLOCK_OFFSET_S = 5.0
JST = timedelta(hours=9)
# What no promise can rest on: lost at a restart, or without locks and syncs that mean something.
FORGETFUL = {"tmpfs", "ramfs"}
DOUBTFUL = {"nfs", "nfs4", "cifs", "smb3", "9p", "vfat", "exfat", "fuseblk", "overlay"}


class State(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """One answer: of what, where, how it stands, and what to do where it is not well."""

    name: str
    place: str
    state: State
    message: str
    remedy: str = ""


# --- clock and disk ----------------------------------------------------------------------------------------------


def clock(of: Clock, believed: bool = False) -> Finding:
    """Whether anybody disciplines this machine's clock; `believed` where the configuration trusts it all the same."""
    state, shown = of.sync_state(), f"{datetime.fromtimestamp(of.now_ms() / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
    if state is ClockState.SYNCED:
        return Finding("clock", "this machine", State.OK, f"synchronised, {shown}")
    if state is ClockState.HOLDOVER:
        message = f"was synchronised since the start and is not now, {shown}"
        return Finding("clock", "this machine", State.WARN, message, "See 'timedatectl': is the time server reachable?")
    remedy = "'sudo timedatectl set-ntp true'. Without network a device needs a real-time clock"
    if believed:
        message = f"nobody sets it, and 'trust: always' believes it all the same; it shows {shown}"
        return Finding("clock", "this machine", State.WARN, message, remedy)
    return Finding("clock", "this machine", State.FAIL, f"nobody sets it; it shows {shown}", remedy)


def zone(offset: timedelta | None, name: str) -> Finding:
    """Whether the times of the command line are those of the messages, which are in Japan's."""
    if offset == JST:
        return Finding("time zone", "this machine", State.OK, name)
    message = f"{name}: the command line reads and shows that, messages and exports say Japan's time"
    return Finding("time zone", "this machine", State.WARN, message, "sudo timedatectl set-timezone Asia/Tokyo")


def disk(path: Path, ceiling: int | None) -> Iterator[Finding]:
    """The folder of a spool or store: may we write there, does a sync end in time, is there room up to the ceiling?"""
    folder = path.absolute().parent
    if not folder.is_dir():
        yield Finding("disk", str(folder), State.FAIL, "there is no such folder", f"sudo mkdir -p {folder}")
        return
    try:
        yield _sync(folder)
    except OSError as e:
        remedy = f"It must belong to the user of the service (here: {_user()}); see 'ls -ld {folder}' and 'df -h'"
        yield Finding("disk", str(folder), State.FAIL, f"cannot be written ({e.strerror})", remedy)
        return
    kind = filesystem(folder)
    if kind in FORGETFUL:
        remedy = "Name a path on a disk or card"
        yield Finding("disk", str(folder), State.FAIL, f"{kind}: everything is lost at a restart", remedy)
    elif kind in DOUBTFUL:
        remedy = "Use a local disk with ext4, xfs or btrfs"
        yield Finding("disk", str(folder), State.WARN, f"{kind}: locks and syncs may not mean what they say", remedy)
    if ceiling is not None:
        yield _room(path, folder, ceiling)


def folder(name: str, path: Path) -> Finding:
    """A folder of ours that is made where it is missing: may we write there, or make it?"""
    there = next(x for x in (path.absolute(), *path.absolute().parents) if x.exists())
    try:
        with tempfile.NamedTemporaryFile(dir=there, prefix=".doctor-"):
            pass
    except OSError as e:
        remedy = f"It must belong to the user of the service (here: {_user()}); see 'ls -ld {there}'"
        return Finding(name, str(path), State.FAIL, f"{there} cannot be written ({e.strerror})", remedy)
    return Finding(name, str(path), State.OK, "writable" if there == path.absolute() else "can be made")


def _sync(folder: Path) -> Finding:
    begun = time.monotonic()
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-") as file:
        file.write(bytes(4096))
        file.flush()
        os.fsync(file.fileno())
    took = time.monotonic() - begun
    said = f"writable; a synced write took {took * 1000:.0f} ms"
    if took > SLOW_SYNC_S:
        remedy = "Every commit waits so long. Is the card worn, or the disk busy?"
        return Finding("disk", str(folder), State.WARN, said, remedy)
    return Finding("disk", str(folder), State.OK, said)


def _room(path: Path, folder: Path, ceiling: int) -> Finding:
    held = sum(p.stat().st_size for p in folder.glob(f"{path.name}*") if p.is_file())
    about = os.statvfs(folder)
    free = about.f_bavail * about.f_frsize
    said = f"{units.in_bytes(free)} free, {path.name} may grow by {units.in_bytes(max(0, ceiling - held))}"
    if free < ceiling - held:
        remedy = f"Make room, or lower max_size to what the disk holds ({units.in_bytes(held + free)} at most)"
        return Finding("disk", str(folder), State.WARN, said, remedy)
    return Finding("disk", str(folder), State.OK, said)


def filesystem(folder: Path) -> str:
    """The type of the file system that a folder is on; empty where the system does not tell."""
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    best, kind = "", ""
    for line in mounts:
        _, where, found, *_ = line.split(" ")
        at = where.replace("\\040", " ")
        if len(at) >= len(best) and folder.resolve().is_relative_to(at):
            best, kind = at, found
    return kind


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user without a name
        return str(os.getuid())


# --- our files ---------------------------------------------------------------------------------------------------


def is_running(path: Path) -> bool:
    """Whether a process of ours has this spool or store open."""
    lock = path.with_name(path.name + ".lock")
    try:
        fd = os.open(lock, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False


def database(name: str, path: Path, version: int) -> Finding:
    """A spool or store: sound, of a version that this program knows?"""
    if not path.exists():
        return Finding(name, str(path), State.OK, "not there yet; the first start makes it")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=TIMEOUT_S)) as db:
            found = db.execute("PRAGMA user_version").fetchone()[0]
            sound = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as e:
        return Finding(name, str(path), State.FAIL, f"cannot be read ({e})", _remedy(name))
    if sound != "ok":
        return Finding(name, str(path), State.FAIL, f"damaged ({' '.join(sound.split())[:200]})", _remedy(name))
    if found > version:
        message = f"version {found}; this suimon knows {version}"
        return Finding(name, str(path), State.FAIL, message, "Install the newer suimon")
    aside = sorted(p.name for p in path.parent.glob(f"{path.name}.damaged-*") if not p.name.endswith(("-wal", "-shm")))
    if aside:
        remedy = "Keep it for a look, then remove it; it takes room. Damage once a year is a worn card"
        return Finding(name, str(path), State.WARN, f"sound; a damaged one lies beside it: {aside[-1]}", remedy)
    running = "in use" if is_running(path) else "not in use"
    return Finding(name, str(path), State.OK, f"sound, {running}, {units.in_bytes(path.stat().st_size)}")


def _remedy(name: str) -> str:
    if name == "spool":
        return "The next start of the agent sets it aside and saves what can be read"
    return "'suimon bridge restore' puts a backup in its place"


def secret(path: Path) -> Finding:
    """A file that holds a password, a token or a key."""
    try:
        mode = path.stat().st_mode
    except OSError as e:
        return Finding("permissions", str(path), State.FAIL, f"cannot be read ({e.strerror})", "See 'ls -l'")
    if mode & stat.S_IROTH:
        return Finding("permissions", str(path), State.WARN, "any user can read it", f"chmod o= {path}")
    return Finding("permissions", str(path), State.OK, "not readable by others")


# --- over the network --------------------------------------------------------------------------------------------


def reach(name: str, host: str, port: int, remedy: str) -> Finding:
    """Name and port: does anybody answer?"""
    place = f"{host}:{port}"
    try:
        with socket.create_connection((host, port), TIMEOUT_S):
            return Finding(name, place, State.OK, "answers")
    except socket.gaierror as e:
        return Finding(name, place, State.FAIL, f"no such host ({e.strerror})", "Check the name and the network's DNS")
    except OSError as e:
        return Finding(name, place, State.FAIL, f"no connection ({e.strerror or 'time-out'})", remedy)


@dataclass(frozen=True, slots=True)
class Port:
    """How a kind of port is spoken of, and what to do where one is missing."""

    kind: str
    missing: str
    group: str


SERIAL = Port("serial line", "Is the adapter plugged in? `ls /dev/serial/by-id` shows those that are", "dialout")
I2C = Port(
    "I2C bus", "Is I2C switched on (dtparam=i2c_arm=on in config.txt, module i2c-dev)? See 'ls /dev/i2c-*'", "i2c"
)


def port(name: str, path: str, of: Port = SERIAL) -> Finding:
    """A port: is there one, and may this user use it? It is not opened: a running agent holds it."""
    try:
        line = stat.S_ISCHR(Path(path).stat().st_mode)
    except OSError as e:
        return Finding(name, path, State.FAIL, f"no such port ({e.strerror})", of.missing)
    if not line:
        return Finding(name, path, State.FAIL, f"is no {of.kind}", "Check 'port' of this bus in edge.yaml")
    if not os.access(path, os.R_OK | os.W_OK):
        remedy = f"Let the agent's user into the group of the port (often {of.group})"
        return Finding(name, path, State.FAIL, "this user may not use it", remedy)
    return Finding(name, path, State.OK, "is there")


def device(name: str, bus: settings.Sysfs, profile: Profile, sensor: settings.Sensor) -> Finding:
    """A sensor that a driver of the kernel reads: is there exactly one that fits? None of its files is read."""
    asked = profile.asked
    found = sysfs.devices(bus.root, asked, sensor.address)
    if len(found) == 1:
        return Finding(name, str(found[0]), State.OK, f"sensor {sensor.name} is there")
    place = str(bus.root / asked.folder)
    near = found or sysfs.devices(bus.root, replace(asked, device=""), "")
    others = ", ".join(f"{x.name} ({sysfs.label(x) or x.resolve().parent.name})" for x in near[:8]) or "none"
    if found:
        remedy = "Write the 'address' of one at the sensor: its name or its place"
        return Finding(name, place, State.FAIL, f"several fit sensor {sensor.name}: {others}", remedy)
    remedy = "Is it plugged in, its driver loaded (dtoverlay in config.txt), its address right?"
    message = f"no device {' '.join(x for x in (asked.device, sensor.address) if x)}".rstrip()
    return Finding(name, place, State.FAIL, f"{message} for sensor {sensor.name}; there: {others}", remedy)


def tls(to: settings.Broker) -> Finding:
    """The broker's certificate: believed, and for how long?"""
    place = f"{to.host}:{to.port}"
    assert to.tls is not None
    try:
        context = mqtt.tls_context(to.tls)
        with (
            socket.create_connection((to.host, to.port), TIMEOUT_S) as raw,
            context.wrap_socket(raw, server_hostname=to.host) as wrapped,
        ):
            until = ssl.cert_time_to_seconds(str((wrapped.getpeercert() or {}).get("notAfter", "")))
    except ssl.SSLCertVerificationError as e:
        remedy = "Is ca_file the authority that signed it, is the host name in it, and is this clock right?"
        return Finding("tls", place, State.FAIL, f"the certificate is not believed ({e.verify_message})", remedy)
    except (OSError, ValueError) as e:
        reason = getattr(e, "strerror", None) or getattr(e, "reason", None) or str(e)
        return Finding("tls", place, State.FAIL, f"no TLS ({reason})", "Is this the broker's port for TLS (8883)?")
    days = int((until - time.time()) // 86400)
    said = f"the certificate is believed, for {days} more days"
    if days < CERTIFICATE_DAYS:
        return Finding("tls", place, State.WARN, said, "Renew it in time: after that day nobody connects")
    return Finding("tls", place, State.OK, said)


def broker(to: settings.Broker, client_id: str, topics: list[str], echo: bool) -> Finding:
    """Log in, subscribe and, for the bridge, hear our own word: an ACL that refuses is often silent about it."""
    place = f"{to.host}:{to.port}"
    own = f"suimon/v1/_doctor/{secrets.token_hex(4)}/cmd" if echo else None
    found = mqtt.probe(to, client_id, topics, own, TIMEOUT_S)
    who = f"as {to.username}" if to.username else "without a user name"
    if not found.logged_in:
        remedy = "Check username and password_file" if found.answered else "Is the broker up, is this its MQTT port?"
        if found.answered and "/" in (to.username or ""):
            remedy += ". Enrolled just now? The broker lets a device in once it has reloaded (on the gateway)"
        return Finding("broker", place, State.FAIL, f"no login {who} ({found.reason})", remedy)
    if found.refused:
        message = f"login {who}; no subscription to {', '.join(found.refused)}"
        return Finding("broker", place, State.FAIL, message, "Allow it in the broker's ACL")
    if echo and not found.echoed:
        message = f"login {who}; what it publishes does not come back"
        remedy = "In the broker's ACL this user needs to read suimon/v1/# and to write suimon/v1/+/+/cmd"
        return Finding("broker", place, State.FAIL, message, remedy)
    return Finding("broker", place, State.OK, f"login {who}, subscriptions granted{', heard' if echo else ''}")


def influx(to: settings.Influx) -> Iterator[Finding]:
    """Answers, takes our credentials, has the database or bucket, and agrees about the time."""
    if to.api == "v1":
        query = urllib.parse.urlencode({"q": "SHOW DATABASES"})
        user = f"{to.username}:{to.password}" if to.username else ""
        status, body, date = _get(f"{to.url.rstrip('/')}/query?{query}", basic=user)
        there, what = f'["{to.bucket}"]' in body, f"database {to.bucket}"
    else:
        query = urllib.parse.urlencode({"name": to.bucket, "org": to.org} if to.org else {"name": to.bucket})
        status, body, date = _get(f"{to.url.rstrip('/')}/api/v2/buckets?{query}", token=to.token or "")
        there, what = f'"{to.bucket}"' in body, f"bucket {to.bucket}"
    if status == 0:
        yield Finding("influxdb", to.url, State.FAIL, f"no answer ({body})", "Points wait in the store. Is it up?")
        return
    if status in (401, 403):
        secret_of = "username and password_file" if to.api == "v1" else "token_file and org"
        yield Finding("influxdb", to.url, State.FAIL, f"refuses us ({status})", f"Check {secret_of}")
    elif status in (400, 404) and to.api == "v2" and not body.startswith("{"):  # InfluxDB 2 answers in JSON
        message = f"answers, and has no API that would tell of the {what}"
        yield Finding("influxdb", to.url, State.WARN, message, "InfluxDB 3 and VictoriaMetrics: make sure by a query")
    elif status != 200 or not there:
        make = f'CREATE DATABASE "{to.bucket}"' if to.api == "v1" else f"influx bucket create --name {to.bucket}"
        yield Finding("influxdb", to.url, State.FAIL, f"has no {what} that we may see ({status})", f"'{make}'")
    else:
        yield Finding("influxdb", to.url, State.OK, f"answers and has the {what}")
    if date is not None:
        yield from offset(to.url, time.time() - date.timestamp())


def context_broker(to: settings.Orion) -> Iterator[Finding]:
    """Answers as NGSIv2 and takes our credentials, for each service that we push to. Nothing is written there."""
    from gateway.bridge.ngsiclient import Client, Fate

    client = Client(to)
    services = {service: tenant for tenant, service in to.services.items()}
    if to.service or not services:
        services.setdefault(to.service, "")
    for service, tenant in services.items():
        answer = client.ask(tenant, ["urn:ngsi-ld:Device:suimon:doctor"])
        place = f"{to.url}, {f'service {service}' if service else 'no service'}, {to.service_path}"
        if answer.silent:
            remedy = "The latest values of then go when it is back. Is it up?"
            yield Finding("orion", place, State.FAIL, answer.reason, remedy)
            return
        if answer.fate is not Fate.ACCEPTED:
            message = f"does not answer us ({answer.reason[:100]})"
            yield Finding("orion", place, State.FAIL, message, "Check url, service, service_path and token_file")
        elif not answer.body.lstrip().startswith(b"["):
            message = "answers, and not as a context broker"
            yield Finding("orion", place, State.FAIL, message, "Check url: of the broker itself, without /v2")
        else:
            yield Finding("orion", place, State.OK, "answers as NGSIv2")


def bulletins(to: settings.Bulletins) -> Iterator[Finding]:
    """Each feed answers and is one; how many of its entries are asked for."""
    from gateway import bulletin
    from gateway.bridge.bulletins import concerns
    from gateway.bridge.fetching import Fetcher

    fetcher = Fetcher(to.timeout_s)
    for url in filter(None, (to.feed, to.catch_up)):
        got = fetcher.get(url, bulletin.MAX_FEED)
        if got.status != 200:
            remedy = "Does this machine reach it? The page says meanwhile that bulletins are not received"
            yield Finding("bulletins", url, State.FAIL, got.reason, remedy)
            continue
        try:
            found = bulletin.feed(got.body)
        except bulletin.BadBulletin as e:
            yield Finding("bulletins", url, State.FAIL, f"answers, and {e}", "Check feed and catch_up")
            continue
        mine = sum(concerns(to, x) for x in found.entries)
        said = f"answers; {mine} of its {len(found.entries)} bulletins are of these offices and titles"
        yield Finding("bulletins", url, State.OK, said)


def offset(place: str, ahead_s: float) -> Iterator[Finding]:
    """By how much this clock is ahead of another server's, where that is more than a network explains."""
    if abs(ahead_s) > CLOCK_OFFSET_S:
        way = "ahead of" if ahead_s > 0 else "behind"
        message = f"this clock is {units.in_words(abs(ahead_s))} {way} that of InfluxDB"
        yield Finding("clock", place, State.WARN, message, "One of the two is wrong: see 'timedatectl' on both")


def _get(url: str, basic: str = "", token: str = "") -> tuple[int, str, datetime | None]:
    """(status, text, the server's time); status 0 and the reason where none came."""
    import base64

    headers = {"Authorization": f"Token {token}"} if token else {}
    if basic:
        headers = {"Authorization": f"Basic {base64.b64encode(basic.encode()).decode()}"}
    try:
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 - http(s) by configuration
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            return answer.status, answer.read(1_000_000).decode("utf-8", "replace"), _date(answer.headers.get("Date"))
    except urllib.error.HTTPError as e:
        with closing(e):
            return e.code, e.read(10_000).decode("utf-8", "replace"), _date(e.headers.get("Date"))
    except (OSError, ValueError) as e:
        return 0, str(getattr(e, "reason", None) or e), None


def _date(text: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(text) if text else None
    except ValueError:
        return None


def url(name: str, address: str) -> Finding:
    """Whether the host of a URL answers; nothing is sent, and the URL itself, often a secret, is not shown."""
    parts = urllib.parse.urlsplit(address)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return reach(name, parts.hostname or "", port, "Is the address right, and does a firewall let us out?")

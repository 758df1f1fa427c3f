"""`suimon device`: who may connect, in which order that is written, and what an interruption leaves."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway import brokerfiles, bundle, config, devicefile
from gateway.bridge.store import Store
from gateway.clock import SystemClock
from gateway.enrolling import Asked, Contents, Enrolling
from gateway.errors import ConfigError, Unavailable
from gateway.storefile import lock
from gateway.wholefile import Files
from tests import enrolment, readme
from tests.enrolment import suimon

USER = "takamatsu/kasuga-01"
NOW = 1_795_000_000_000
CONTENTS = Contents("version: 1\n", complete=False, ca=None, profiles={}, valid_s=86400.0)


class Killed(Exception):
    """The process ends here."""


class Interrupted(Files):
    """Ends at a write: before it (even numbers), or when it is on the disk (odd ones)."""

    def __init__(self, at: int) -> None:
        self._left = at

    def write(self, path: Path, data: bytes, mode: int | None = None, group: int | None = None) -> None:
        if self._left == 0:
            raise Killed
        super().write(path, data, mode, group)
        if self._left == 1:
            raise Killed
        self._left -= 2


class House:
    def __init__(self, folder: Path) -> None:
        self.folder, self.bundle = enrolment.gateway(folder), folder / "kasuga-01.bundle"

    def enrolling(self, files: Files | None = None) -> Enrolling:
        bridge, _ = config.load_bridge(self.folder)
        assert bridge.enrolment is not None
        return Enrolling(bridge.enrolment, self.folder, files or Files())

    @property
    def passwd(self) -> str:
        return (self.folder / "broker/passwd").read_text()

    @property
    def acl(self) -> str:
        return (self.folder / "broker/acl").read_text()

    @property
    def line(self) -> str:
        """The device's line in the password file."""
        return next((line for line in self.passwd.splitlines() if line.startswith(f"{USER}:")), "")

    @property
    def record(self) -> devicefile.Record | None:
        return self.enrolling().records().get(("takamatsu", "kasuga-01"))

    def opens(self) -> bool:
        """Whether the password in the bundle is the one that the broker takes."""
        if not self.bundle.exists():
            return False
        taken = bundle.decode(self.bundle.read_bytes(), "bundle").credentials
        salt = base64.b64decode(self.line.split("$")[3]) if self.line else b""
        return self.line == brokerfiles.password_line(taken.username, taken.password, salt)


def asked(why: str = "", now_ms: int = NOW) -> Asked:
    return Asked("takamatsu", "kasuga-01", "sato", now_ms, why, ("kasuga-bridge",))


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "gateway")


def add(house: House, files: Files | None = None) -> object:
    return house.enrolling(files).add(asked(), CONTENTS, house.bundle)


def replace(house: House, files: Files | None = None) -> object:
    return house.enrolling(files).replace(asked("card broken"), CONTENTS, house.bundle)


def revoke(house: House, files: Files | None = None) -> object:
    return house.enrolling(files).revoke(asked("stolen"))


# --- what each leaves


def test_add_gives_the_right_and_the_bundle(house: House) -> None:
    """After `add` the bundle's password is the broker's, the ACL has the entry, the record says who, when and for what,
    and every line that was there before stands as it did."""
    add(house)
    assert house.opens()
    assert house.passwd.startswith(enrolment.PASSWD)
    assert house.acl.startswith(enrolment.ACL)
    assert f"topic write suimon/v1/{USER}/data\n" in house.acl
    assert house.bundle.stat().st_mode & 0o777 == 0o600
    assert house.record
    last = house.record.last
    assert (last.event, last.by, last.stations) == (devicefile.Act.ADDED, "sato", ["kasuga-bridge"])
    assert last.at == devicefile.stamp(NOW)


def test_the_password_stands_in_the_bundle_alone(house: House) -> None:
    """No other file of the gateway holds the password, and a bundle in a log does not show it."""
    add(house)
    taken = bundle.decode(house.bundle.read_bytes(), "bundle")
    files = [path for path in house.folder.rglob("*") if path.is_file() and path != house.bundle]
    assert files
    assert not [path for path in files if taken.credentials.password in path.read_text()]
    assert taken.credentials.password not in repr(taken)


def test_add_again_changes_nothing(house: House) -> None:
    """The same command again leaves every file as it is; with another bundle it is refused with the remedy."""
    add(house)
    before = {path: path.read_bytes() for path in house.folder.rglob("*") if path.is_file()}
    assert add(house).changed is False  # type: ignore[attr-defined]
    with pytest.raises(Unavailable, match=f"is enrolled since .*, by sato.*suimon device replace {USER}"):
        house.enrolling().add(asked(), CONTENTS, house.folder / "other.bundle")
    assert {path: path.read_bytes() for path in house.folder.rglob("*") if path.is_file()} == before


def test_replace_ends_the_former_password(house: House) -> None:
    """The former password is the broker's no longer, the new bundle's is; the record counts it and says why."""
    add(house)
    former = house.line
    replace(house)
    assert house.opens()
    assert house.line != former
    assert house.passwd.count(f"{USER}:") == 1
    assert house.record
    assert (house.record.last.why, house.record.replaced, house.record.state) == ("card broken", 1, "enrolled")


def test_revoke_takes_both_lines_and_nothing_else(house: House) -> None:
    """After `revoke` password file and ACL are as before the device came; once more changes nothing; the device may be
    enrolled again."""
    add(house)
    revoke(house)
    assert (house.passwd, house.acl) == (enrolment.PASSWD, enrolment.ACL)
    assert house.record
    assert (house.record.state, house.record.last.why) == ("revoked", "stolen")
    register = (house.folder / devicefile.DEVICES).read_bytes()
    assert revoke(house).changed is False  # type: ignore[attr-defined]
    assert (house.folder / devicefile.DEVICES).read_bytes() == register
    add(house)
    assert house.opens()


def test_a_device_of_whom_nothing_is_known_is_not_revoked(house: House) -> None:
    """A misspelt name is told with the one that was meant."""
    add(house)
    wrong = Asked("takamatsu", "kasuga-1", "sato", NOW, "x")
    with pytest.raises(Unavailable, match=rf"kasuga-1 is not enrolled.*Did you mean '{USER}'\?"):
        house.enrolling().revoke(wrong)
    with pytest.raises(Unavailable, match=rf"suimon device add takamatsu/kasuga-1' enrols it.*Did you mean '{USER}'\?"):
        house.enrolling().replace(wrong, CONTENTS, house.bundle)


def test_a_line_made_by_hand_is_revoked_too(house: House) -> None:
    """A device that was enrolled by mosquitto_passwd can be revoked, and is on record from then on."""
    (house.folder / "broker/passwd").write_text(f"{enrolment.PASSWD}{USER}:$7$101$c$d\n")
    revoke(house)
    assert house.passwd == enrolment.PASSWD
    assert house.record
    assert house.record.state == "revoked"


# --- interrupted


@pytest.mark.parametrize("at", range(8))
@pytest.mark.parametrize(
    ("act", "before"), [(add, None), (replace, add), (revoke, add)], ids=["add", "replace", "revoke"]
)
def test_an_interruption_leaves_no_half(
    house: House, act: Callable[..., object], before: Callable[..., object] | None, at: int
) -> None:
    """Cut at any write, password file and ACL hold the foreign lines and a whole line or none; whom the broker newly
    lets in has its bundle; nothing is on record that did not happen; the same command again ends as if never cut."""
    if before:
        before(house)
    former, on_record = house.line, house.record
    with contextlib.suppress(Killed):
        act(house, Interrupted(at))
    assert house.passwd.startswith(enrolment.PASSWD)
    assert house.acl.startswith(enrolment.ACL)
    assert house.line in ("", former) or house.opens()
    assert house.record == on_record or house.line != former  # what is on record has happened
    if act is add:
        with contextlib.suppress(Unavailable):  # it was cut behind its last write
            act(house)
    else:
        act(house)
    if act is revoke:
        assert (house.passwd, house.acl) == (enrolment.PASSWD, enrolment.ACL)
    else:
        assert house.opens()
        assert house.line != former
        assert f"topic read suimon/v1/{USER}/receipt\n" in house.acl
    assert house.record
    assert house.record.state == ("revoked" if act is revoke else "enrolled")


def test_a_leftover_of_a_killed_write_is_in_nobodys_way(house: House) -> None:
    """A file that a kill left beside the password file is overwritten by the next command."""
    (house.folder / "broker/.passwd.suimon-new").write_text("half")
    add(house)
    assert house.opens()
    assert not (house.folder / "broker/.passwd.suimon-new").exists()


def test_two_operators_at_once(house: House) -> None:
    """While one writes, another is told so and changes nothing."""
    held = lock(house.folder / "broker/passwd", "'suimon device'")
    try:
        with pytest.raises(Unavailable, match="in use by another 'suimon device'"):
            add(house)
        assert house.passwd == enrolment.PASSWD
    finally:
        os.close(held)


def test_a_bundle_overwrites_nothing_else(house: House) -> None:
    """A file at the bundle's place that is none of this device stays, and nothing is enrolled."""
    house.bundle.write_text("a diary")
    with pytest.raises(Unavailable, match=r"is no bundle of takamatsu/kasuga-01. Name another file with --bundle"):
        add(house)
    assert (house.bundle.read_text(), house.passwd) == ("a diary", enrolment.PASSWD)


def test_a_bundle_follows_no_link(house: House) -> None:
    """A link at the bundle's place, which somebody else may have laid there, is not written through."""
    house.bundle.symlink_to(house.folder / "elsewhere")
    with pytest.raises(Unavailable, match="is a link"):
        add(house)
    assert (house.passwd, (house.folder / "elsewhere").exists()) == (enrolment.PASSWD, False)


def test_revoking_does_not_wait_for_the_acl(house: House) -> None:
    """Where the ACL is gone the password is taken away all the same, and the command says what is left to do."""
    add(house)
    (house.folder / "broker/acl").rename(house.folder / "broker/away")
    with pytest.raises(ConfigError, match=r"enrolment.acl: there is no file"):
        revoke(house)
    assert house.passwd == enrolment.PASSWD
    (house.folder / "broker/away").rename(house.folder / "broker/acl")
    revoke(house)
    assert house.record
    assert house.record.state == "revoked"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a file to give away")
def test_under_sudo_the_bundle_is_who_typed_it(tmp_path: Path) -> None:
    """The bundle belongs to the person behind sudo, who is also the one on record."""
    folder, out = enrolment.gateway(tmp_path / "gateway"), tmp_path / "b"
    sudo = {"SUDO_USER": "sato", "SUDO_UID": "12345", "SUDO_GID": "23456"}
    assert suimon("device", "add", USER, "--bundle", out, "--config", folder, env=sudo).exit_code == 0
    assert (out.stat().st_uid, out.stat().st_gid, out.stat().st_mode & 0o777) == (12345, 23456, 0o600)
    assert b'"by":"sato"' in (folder / devicefile.DEVICES).read_bytes()


# --- devices.jsonl


@pytest.mark.parametrize("line", ["x", "{}", '{"at":1}', "[]", "\udcff", '"' + "[" * 9000])
def test_a_record_that_cannot_be_read_is_not_guessed(line: str) -> None:
    """A line that is no event stops with its place, instead of enrolling over it."""
    event = devicefile.Event(at="2026-11-23T04:12:09Z", event=devicefile.Act.ADDED, tenant="t", device="d", by="s")
    good = devicefile.line(event)
    with pytest.raises(ConfigError, match=r"devices.jsonl:3:1 is no record of a device"):
        devicefile.read(good + b"\n" + line.encode("utf-8", "surrogateescape") + b"\n" + good)


# --- the command


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["add", "kasuga-01"], 2, "no TENANT/DEVICE"),
        (["add", "takamatsu/Kasuga"], 2, "no TENANT/DEVICE"),
        (["add", "takamatsu/_x"], 2, "no TENANT/DEVICE"),
        (["add", "takamatsu/harbour"], 2, "is the name of a station"),
        (["add", "takamatsu/kasuga-02"], 3, "no station names 'kasuga-02'"),
        (["add", USER, "--valid", "soon"], 2, "--valid"),
        (["replace", USER], 2, "--why"),
        (["replace", USER, "--why", "x"], 4, "is not enrolled"),
        (["revoke", USER, "--why", "x"], 4, "is not enrolled"),
    ],
)
def test_what_cannot_be_done_is_told(tmp_path: Path, arguments: list[str], code: int, said: str) -> None:
    """A refusal has its sentence and exit code, and nothing was written."""
    folder = enrolment.gateway(tmp_path / "gateway")
    done = suimon("device", *arguments, "--config", folder)
    assert done.exit_code == code
    assert said in " ".join(done.output.replace("│", " ").split())
    assert (folder / "broker/passwd").read_text() == enrolment.PASSWD
    assert not (folder / devicefile.DEVICES).exists()


def test_without_the_section_its_form_is_told(tmp_path: Path) -> None:
    """bridge.yaml without `enrolment` is told what to add."""
    folder = enrolment.gateway(tmp_path / "gateway", "version: 1\nbroker: {host: 127.0.0.1}\n")
    done = suimon("device", "list", "--config", folder)
    assert done.exit_code == 3
    assert "'enrolment' is missing" in done.output


def test_a_given_edge_yaml_is_checked_before_anybody_is_enrolled(tmp_path: Path) -> None:
    """A mistake in the device's edge.yaml is told at its line in that file, and the device is not enrolled."""
    folder, edge = enrolment.gateway(tmp_path / "gateway"), tmp_path / "harbour.yaml"
    edge.write_text(enrolment.EDGE.replace("bus: mast", "bus: mist").replace("SPOOL", "s.db"))
    out = tmp_path / "b"
    done = suimon("device", "add", "takamatsu/harbour-01", "--edge", edge, "--bundle", out, "--config", folder)
    assert done.exit_code == 3
    assert "harbour.yaml:8:10 sensors.level.bus: unknown bus 'mist'. Did you mean 'mast'?" in done.output
    assert not out.exists()
    assert (folder / "broker/passwd").read_text() == enrolment.PASSWD


def test_the_list_tells_where_record_and_broker_differ(tmp_path: Path) -> None:
    """JSON: state, since, stations; a line made by hand, a line taken away by hand and a station without a device are
    remarked; without a store the last word of a device is unknown, not never."""
    folder = enrolment.gateway(tmp_path / "gateway")
    assert suimon("device", "add", USER, "--bundle", tmp_path / "b", "--config", folder).exit_code == 0
    (folder / "broker/passwd").write_text(f"{enrolment.PASSWD}sanuki/weir-01:$7$101$c$d\n")
    done = suimon("device", "list", "--json", "--config", folder)
    found = json.loads(done.output)
    rows = {f"{d['tenant']}/{d['device']}": d for d in found["devices"]}
    assert {name: d["state"] for name, d in rows.items()} == {
        USER: "enrolled", "sanuki/weir-01": "unknown", "takamatsu/harbour-01": "unknown"
    }  # fmt: skip
    assert rows[USER]["stations"] == ["kasuga-bridge"]
    assert rows[USER]["since"]
    assert rows[USER]["last_seen"] is None
    assert [d["remarks"][0][:38] for d in rows.values()] == [
        "the broker has no password for it: 'su", "the broker has a password for it that ",
        "stations.yaml names it; the broker has",
    ]  # fmt: skip
    assert "there is no store" in found["notes"][0]


# --- the document


def test_a_revoked_device_is_not_shown_online(tmp_path: Path) -> None:
    """What it said before it was revoked is not how it is now; what it says after that is remarked, with the remedy."""
    folder = enrolment.gateway(tmp_path / "gateway")
    assert suimon("device", "add", USER, "--bundle", tmp_path / "b", "--config", folder).exit_code == 0
    bridge, _ = config.load_bridge(folder)
    assert bridge.enrolment is not None
    Store(bridge.store).close()

    def listed(heard_ms: int) -> tuple[dict[str, object], str]:
        with contextlib.closing(sqlite3.connect(bridge.store)) as db, db:
            db.execute(
                "INSERT OR REPLACE INTO devices (tenant, device, statement_ms, status) VALUES (?,?,?,?)",
                (*USER.split("/"), heard_ms, '{"state": "online"}'),
            )
        found = json.loads(suimon("device", "list", "--json", "--config", folder).output)
        (row,) = (d for d in found["devices"] if f"{d['tenant']}/{d['device']}" == USER)
        text = suimon("device", "list", "--config", folder).output
        return row, next(line for line in text.splitlines() if line.startswith(USER))

    row, line = listed(NOW)
    assert (row["state"], row["status"]) == ("enrolled", "online")
    assert "online" in line
    assert suimon("device", "revoke", USER, "--why", "stolen", "--config", folder).exit_code == 0
    now_ms = SystemClock().now_ms()
    row, line = listed(now_ms - 3_600_000)
    assert (row["state"], row["status"], row["remarks"]) == ("revoked", "revoked", [])
    assert row["last_seen"]
    assert "online" not in line
    row, line = listed(now_ms + 60_000)
    assert (row["status"], "online" in line) == ("revoked", False)
    told = f"it was heard after it was revoked. Has the broker been told? {bridge.enrolment.reload}"
    assert row["remarks"] == [told]
    assert told in line


def test_the_section_of_the_document_is_read(tmp_path: Path) -> None:
    """What deploy/README.md tells to write into bridge.yaml has no problem, and is what it says."""
    shown = next(b.text for b in readme.blocks(readme.ROOT / "deploy/README.md") if b.text.startswith("enrolment:"))
    folder = enrolment.gateway(tmp_path / "gateway", f"version: 1\nbroker: {{host: 127.0.0.1}}\n{shown}")
    at = config.load_bridge(folder)[0].enrolment
    assert at
    assert (at.passwords, at.host, at.port, at.tls) == (Path("/etc/mosquitto/passwd"), "mqtt.example", 8883, True)

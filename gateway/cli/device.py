"""`suimon device`: which devices may connect. Enrols them, revokes them, gives the place of one to another."""

from __future__ import annotations

import getpass
import json
import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import process
from gateway.cli.letters import table
from gateway.errors import ConfigError, Problem, Unavailable

if TYPE_CHECKING:
    from gateway import settings
    from gateway.devicefile import Key, Record
    from gateway.enrolling import Asked, Contents, Done, Enrolling
    from gateway.stations import Registry, Station

device_app = typer.Typer(help="The devices: enrol, list, revoke, replace.", no_args_is_help=True)

VALID = "30d"
EXAMPLE = (
    "'enrolment' is missing: where the broker's files are, and how devices reach it. Add for example 'enrolment: "
    "{passwords: /etc/mosquitto/passwd, acl: /etc/mosquitto/acl, broker: {host: mqtt.example, tls: true}}'"
)

DeviceArgument = Annotated[str, typer.Argument(metavar="TENANT/DEVICE", help="As in stations.yaml: its 'device:'.")]
EdgeOption = Annotated[
    Path | None, typer.Option("--edge", help="Its edge.yaml; what it lacks of tenant, device and broker is added.")
]
BundleOption = Annotated[Path | None, typer.Option("--bundle", help="The file to make; DEVICE.bundle by default.")]
ValidOption = Annotated[str, typer.Option("--valid", help="How long 'edge join' takes the bundle; 'always' for ever.")]
ByOption = Annotated[str, typer.Option("--by", help="Who does it, where that is not who types.")]
StationlessOption = Annotated[bool, typer.Option("--no-station", help="Although no station names it yet.")]


@device_app.callback()
def _device() -> None:
    """The devices: enrol, list, revoke, replace."""


@device_app.command("add")
def add(
    name: DeviceArgument,
    edge: EdgeOption = None,
    bundle: BundleOption = None,
    valid: ValidOption = VALID,
    no_station: StationlessOption = False,
    by: ByOption = "",
    why: Annotated[str, typer.Option("--why", help="For the record.")] = "",
    folder: Path = process.ConfigOption,
) -> None:
    """Enrol a device: a password of its own, the right to its own topics and no others, and a bundle to carry to it."""
    with process.told():
        desk, at, registry = _desk(folder)
        asked = _asked(name, by, why, registry, no_station)
        contents = _contents(asked, at, registry, edge, valid, folder)
        to = bundle or Path(f"{asked.device}.bundle")
        done = desk.add(asked, contents, to)
    if not done.changed:
        typer.echo(f"{asked.user} is enrolled already, and {to} is its bundle. Nothing was changed")
    else:
        serves = f", for {', '.join(asked.stations)}" if asked.stations else "; no station names it yet"
        typer.echo(f"{asked.user} is enrolled{serves}")
    _given(asked, to, done, at, "is let in")


@device_app.command("replace")
def replace(
    name: DeviceArgument,
    why: Annotated[str, typer.Option("--why", help="What became of the former one; for the record.")],
    edge: EdgeOption = None,
    bundle: BundleOption = None,
    valid: ValidOption = VALID,
    no_station: StationlessOption = False,
    by: ByOption = "",
    folder: Path = process.ConfigOption,
) -> None:
    """Other hardware, or a new card, takes the place of a device: new credentials, the former are refused. Stations and
    channels keep their names, so every series goes on."""
    with process.told():
        desk, at, registry = _desk(folder)
        asked = _asked(name, by, why, registry, no_station)
        contents = _contents(asked, at, registry, edge, valid, folder)
        to = bundle or Path(f"{asked.device}.bundle")
        done = desk.replace(asked, contents, to)
        _journal(folder, asked, "機器を交換 / device replaced")
    typer.echo(f"{asked.user} has new credentials; stations and series keep their names")
    _given(asked, to, done, at, "is let in, and the former one refused")


@device_app.command("revoke")
def revoke(
    name: DeviceArgument,
    why: Annotated[str, typer.Option("--why", help="For the record.")],
    by: ByOption = "",
    folder: Path = process.ConfigOption,
) -> None:
    """The broker lets a device in no longer. What it sent is kept, and its stations' silence goes on to be told."""
    with process.told():
        desk, at, registry = _desk(folder)
        asked = _asked(name, by, why, registry, no_station=True)
        done = desk.revoke(asked)
        if done.changed:
            _journal(folder, asked, "機器の登録を抹消 / device revoked")
    typer.echo(f"{asked.user} is revoked" if done.changed else f"{asked.user} was revoked before")
    typer.echo(_reload(done, at, "is refused"))
    if asked.stations:
        typer.echo(
            f"stations.yaml still names it: {', '.join(asked.stations)} will be told as silent until a device serves "
            "them, or they are taken out"
        )


@device_app.command("list")
def list_(
    json_output: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
    folder: Path = process.ConfigOption,
) -> None:
    """Every device: whether it may connect, since when, which stations it serves, when the bridge last heard of it.
    One that was revoked is shown so, whatever it said last."""
    with process.told():
        found = _listed(folder)
    if json_output:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    head = ("device", "state", "since", "by", "stations", "last seen", "")
    rows = [
        (f"{d['tenant']}/{d['device']}", d["state"], d["since"] or "-", d["by"] or "-", ", ".join(d["stations"]) or "-",
         _seen(d), "; ".join(d["remarks"]))
        for d in found["devices"]
    ]  # fmt: skip
    typer.echo(table([head, *rows]) if rows else "no device is enrolled. 'suimon device add TENANT/DEVICE' does it")
    for note in found["notes"]:
        typer.echo(note, err=True)


def _seen(d: dict[str, Any]) -> str:
    return " ".join(x for x in (d["last_seen"] or "-", d["status"] if d["status"] != d["state"] else "") if x)


# --- who, and what for


def _desk(folder: Path) -> tuple[Enrolling, settings.Enrolment, Registry]:
    from gateway import config
    from gateway.enrolling import Enrolling

    bridge, registry = config.load_bridge(folder)
    if bridge.enrolment is None:
        raise ConfigError([Problem("bridge.yaml", 1, 1, "", EXAMPLE)])
    return Enrolling(bridge.enrolment, folder), bridge.enrolment, registry


def _asked(name: str, by: str, why: str, registry: Registry, no_station: bool) -> Asked:
    from gateway.clock import SystemClock
    from gateway.enrolling import Asked
    from gateway.fields import did_you_mean
    from gateway.senml import NAME

    tenant, slash, device = name.partition("/")
    if not slash or not NAME.fullmatch(tenant) or not NAME.fullmatch(device):
        what = "a-z, 0-9, '.', '_', '-', first a letter or digit, and a slash between, like takamatsu/kasuga-01"
        raise typer.BadParameter(f"'{name}' is no TENANT/DEVICE: {what}")
    if (tenant, device) in registry.stations:
        raise typer.BadParameter(f"'{device}' is the name of a station. Stations and devices need different names")
    stations = tuple(station.id for station in _served(registry, tenant, device))
    if not stations and not no_station:
        names = sorted({f"{s.tenant}/{s.device}" for s in registry.stations.values()})
        message = (
            f"no station names '{device}', so all that it sends would be refused. Add 'device: {device}' at its "
            f"station, or say --no-station{did_you_mean(name, names)}"
        )
        raise ConfigError([Problem("stations.yaml", 1, 1, "stations", message)])
    if not (by + why).replace("\u3000", " ").isprintable():
        raise typer.BadParameter("--by and --why hold control characters. Write them on one line")
    who = by or os.environ.get("SUDO_USER") or getpass.getuser()
    return Asked(tenant, device, who, SystemClock().now_ms(), why, stations)


def _journal(folder: Path, asked: Asked, what: str) -> None:
    """A row at each station, by the bridge that runs; the record in devices.jsonl stands in any case."""
    from gateway import config, storefile
    from gateway.bridge.recording import Add
    from gateway.cli import asking
    from gateway.journal import Manual

    bridge, registry = config.load_bridge(folder)
    if not storefile.running(bridge.store):
        typer.echo("no bridge runs on this machine, so the journal has no row of it; devices.jsonl has", err=True)
        return
    text = f"{what}: {asked.user} ({asked.why})"
    for station in asked.stations or ("",):
        body = Add(kind=Manual.OTHER, text=text, by=asked.by, station=station, tenant=asked.tenant)
        try:
            asking.ask(bridge, registry, "journal.add", body)
        except Unavailable as e:
            typer.echo(f"the journal has no row of it ({e}); devices.jsonl has", err=True)
            return


def _served(registry: Registry, tenant: str, device: str) -> list[Station]:
    return [s for s in registry.stations.values() if (s.tenant, s.device) == (tenant, device)]


# --- what it is given


def _contents(
    asked: Asked, at: settings.Enrolment, registry: Registry, edge: Path | None, valid: str, folder: Path
) -> Contents:
    """Raises ConfigError with every problem of the edge.yaml, as the device would find it."""
    from gateway import bundle, units
    from gateway.enrolling import Contents

    try:
        valid_s = None if valid == "always" else units.seconds(valid)
    except ValueError as e:
        raise typer.BadParameter(f"--valid: {e}") from None
    ca = None if at.ca_file is None else _text(at.ca_file, "enrolment.broker.tls.ca_file")
    joining = bundle.Joining(asked.tenant, asked.device, at.host, at.port, at.tls, ca is not None)
    if edge is None:
        text = bundle.begun(joining, _served(registry, asked.tenant, asked.device))
        return Contents(text, complete=False, ca=ca, profiles={}, valid_s=valid_s)
    text = bundle.given(_text(edge, ""), edge.name, joining)
    profiles = _tried(text, edge.name, ca, folder)
    return Contents(text, complete=True, ca=ca, profiles=profiles, valid_s=valid_s)


def _text(path: Path, key: str) -> str:
    try:
        return path.read_bytes().decode()
    except OSError as e:
        message = f"cannot be read ({(e.strerror or '').lower()})"
    except UnicodeDecodeError:
        message = "is not text in UTF-8"
    if key:
        raise ConfigError([Problem("bridge.yaml", 1, 1, key, f"{path} {message}")])
    raise Unavailable(f"{path} {message}. Name an edge.yaml")


def _tried(text: str, name: str, ca: str | None, folder: Path) -> dict[str, str]:
    """The profiles of the folder's own that an edge.yaml uses, by name. It is read as on the device, beside this
    folder's stations and profiles. Raises ConfigError."""
    import tempfile

    from gateway import bundle, config

    with tempfile.TemporaryDirectory(prefix="suimon-device-") as made:
        trial = Path(made)
        for entry in folder.resolve().iterdir():
            if entry.name not in (bundle.EDGE, bundle.SECRET, bundle.CA):
                (trial / entry.name).symlink_to(entry)
        (trial / bundle.EDGE).write_text(text, encoding="utf-8")
        (trial / bundle.SECRET).write_text("none\n")
        if ca is not None:
            (trial / bundle.CA).write_text(ca, encoding="utf-8")
        try:
            edge, _ = config.load_edge(trial)
        except ConfigError as e:
            problems = [
                Problem(name if p.file == bundle.EDGE else p.file, p.line, p.col, p.path, p.message) for p in e.problems
            ]
            raise ConfigError(problems) from None
    own = {sensor.profile: folder / config.PROFILES / f"{sensor.profile}.yaml" for sensor in edge.sensors}
    return {profile: file.read_text(encoding="utf-8") for profile, file in own.items() if file.exists()}


# --- said


def _given(asked: Asked, to: Path, done: Done, at: settings.Enrolment, then: str) -> None:
    from gateway.cli import times

    _hand_over(to)
    until = f"'edge join' takes it until {times.local(done.expires_ms)}" if done.expires_ms else "it never runs out"
    typer.echo(f"bundle: {to} (only you can read it; {until})")
    typer.echo(
        f"It holds the password. Whoever has a copy can send as {asked.user} until 'suimon device replace' or 'revoke'."
    )
    typer.echo(_reload(done, at, then))
    typer.echo(f"on the device: suimon edge join {to.name} --config /etc/suimon")


def _hand_over(to: Path) -> None:
    """Under sudo the bundle belongs to who typed it, and has to carry it."""
    uid, gid = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
    if os.geteuid() == 0 and uid.isdecimal() and gid.isdecimal():
        os.chown(to, int(uid), int(gid), follow_symlinks=False)


def _reload(done: Done, at: settings.Enrolment, then: str) -> str:
    if not done.told:
        return f"the broker was told: the device {then} from now on"
    return f"STILL TO DO: {at.reload}   (before that nothing changes at the broker; {done.told})"


# --- list


def _listed(folder: Path) -> dict[str, Any]:
    from gateway import config
    from gateway.enrolling import Enrolling

    bridge, registry = config.load_bridge(folder)
    notes: list[str] = []
    if bridge.enrolment is None:
        raise ConfigError([Problem("bridge.yaml", 1, 1, "", EXAMPLE)])
    desk = Enrolling(bridge.enrolment, folder)
    records = desk.records()
    let_in = desk.let_in()
    if let_in is None:
        notes.append(f"{bridge.enrolment.passwords} cannot be read by this user: whether it agrees is not known")
    heard = _heard(bridge, notes)
    named = {(s.tenant, s.device) for s in registry.stations.values()}
    strangers = {(t, d) for t, slash, d in (x.partition("/") for x in let_in or ()) if slash}
    keys = [*records, *sorted((named | strangers) - records.keys())]
    return {
        "version": 1,
        "devices": [
            _described(key, records.get(key), registry, let_in, heard.get(key), bridge.enrolment.reload) for key in keys
        ],
        "notes": notes,
    }


def _heard(bridge: settings.Bridge, notes: list[str]) -> dict[Key, tuple[int | None, str]]:
    """(when it last stated its spool, online or offline) of each device that the bridge ever heard."""
    from gateway import storefile

    if not bridge.store.exists():
        notes.append(f"there is no store {bridge.store} yet: when a device was last seen is not known")
        return {}
    try:
        rows = storefile.rows(bridge.store, "SELECT tenant, device, statement_ms, status FROM devices")
    except Unavailable as e:
        notes.append(f"when a device was last seen is not known: {e}")
        return {}
    return {(tenant, device): (at_ms, _state(status)) for tenant, device, at_ms, status in rows}


def _state(status: str | None) -> str:
    try:
        state = json.loads(status or "{}").get("state", "")
    except (ValueError, AttributeError):
        return ""
    return state if state in ("online", "offline") else ""


def _described(
    key: Key,
    record: Record | None,
    registry: Registry,
    let_in: set[str] | None,
    heard: tuple[int | None, str] | None,
    reload: str,
) -> dict[str, Any]:
    from gateway.cli import times

    tenant, device = key
    last_ms, status = heard or (None, "")
    last = record.last if record else None
    remarks = _remarks(f"{tenant}/{device}", record, let_in)
    if record and record.state == "revoked":
        status = "revoked"  # whatever it said last
        if last_ms is not None and last_ms > (datetime.fromisoformat(record.last.at).timestamp() + 1) * 1000:
            remarks.append(f"it was heard after it was revoked. Has the broker been told? {reload}")
    return {
        "tenant": tenant,
        "device": device,
        "state": record.state if record else "unknown",
        "since": _local(last.at) if last else None,
        "first": _local(record.first) if record else None,
        "by": last.by if last else "",
        "why": last.why if last else "",
        "replaced": record.replaced if record else 0,
        "stations": [s.id for s in _served(registry, tenant, device)],
        "last_seen": times.iso(last_ms),
        "status": status,
        "remarks": remarks,
    }


def _local(at: str) -> str:
    return datetime.fromisoformat(at).astimezone().isoformat(timespec="seconds")


def _remarks(user: str, record: Record | None, let_in: set[str] | None) -> list[str]:
    """Where the record and the broker's password file do not say the same."""
    if let_in is None:
        return []
    if record is None:
        by_hand = "the broker has a password for it that was not made by 'suimon device'"
        return [by_hand] if user in let_in else ["stations.yaml names it; the broker has no password for it"]
    if record.state == "enrolled" and user not in let_in:
        return [f"the broker has no password for it: 'suimon device add {user}' makes a new one"]
    if record.state == "revoked" and user in let_in:
        return [f"the broker has a password for it all the same: 'suimon device revoke {user}' takes it away"]
    return []

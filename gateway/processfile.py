"""edge.yaml and bridge.yaml -> the settings of the two processes: defaults filled in, files beside them read.

Paths are relative to the configuration's folder. A secret stands in a file of its own; neither it nor the path
given for it is ever shown, because the path may be the secret written in the wrong place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path as FilePath

from gateway import schema, settings
from gateway.fields import did_you_mean
from gateway.profiles import Profile
from gateway.validation import validate
from gateway.yamlfile import Document, Path

KEEPALIVE_S = (5, 20)  # longer, and a half-open link hides for more than half a minute
MAX_IN_FLIGHT = 5000  # samples of backlog without a receipt (wire contract, receipts, rule 7)


# --- parts that both files have


def _broker(document: Document, row: schema.Broker, folder: FilePath, user: str = "") -> settings.Broker:
    path: Path = ("broker",)
    low, high = KEEPALIVE_S
    if not low <= row.keepalive <= high or row.keepalive != int(row.keepalive):
        message = f"{row.keepalive:g} s is not a keepalive in whole seconds from {low}s to {high}s"
        document.add((*path, "keepalive"), message)
    tls = _tls(document, (*path, "tls"), row.tls, folder) if row.tls else None
    if row.password_file and not row.username:
        example = f". Add for example 'username: {user}'" if user else ""
        document.add((*path, "password_file"), f"a password needs 'username' beside it{example}", at_key=True)
    return settings.Broker(
        host=row.host,
        port=row.port or (8883 if tls else 1883),
        username=row.username,
        password=_secret(document, (*path, "password_file"), row.password_file, folder),
        keepalive_s=int(row.keepalive),
        tls=tls,
    )


def _tls(document: Document, path: Path, row: schema.Tls, folder: FilePath) -> settings.Tls:
    if (row.cert_file is None) != (row.key_file is None):
        there, absent = ("cert_file", "key_file") if row.cert_file else ("key_file", "cert_file")
        document.add((*path, there), f"'{absent}' is missing. A certificate and its key come together", at_key=True)
    files: dict[str, FilePath | None] = {}
    for key in ("ca_file", "cert_file", "key_file"):
        name = getattr(row, key)
        files[key] = None if name is None else folder / name
        if name is not None and _content(document, (*path, key), folder / name, f"{name} ") == b"":
            document.add((*path, key), f"{name} is empty")
    return settings.Tls(**files)


def _secret(document: Document, path: Path, name: str | None, folder: FilePath) -> str | None:
    """The stripped content of a file; what it holds and how it is named stay out of every message."""
    if name is None:
        return None
    content = _content(document, path, folder / name, "")
    try:
        secret = None if content is None else content.decode().strip()
    except UnicodeDecodeError:
        document.add(path, "the file is not text in UTF-8")
        return None
    if secret == "":
        document.add(path, "the file is empty. It holds the secret and nothing else")
    return secret


def _content(document: Document, path: Path, file: FilePath, name: str) -> bytes | None:
    try:
        return file.read_bytes()
    except (OSError, ValueError) as e:
        reason = (e.strerror or "").lower() if isinstance(e, OSError) else "not a path"
        whose = f"{name}cannot be read" if name else "the file that this names cannot be read"
        document.add(path, f"{whose} ({reason}). Write a path relative to the configuration's folder")
        return None


# --- edge.yaml


def edge(
    document: Document, folder: FilePath, profiles: Mapping[str, Profile], profile_names: Iterable[str]
) -> settings.Edge | None:
    """The edge's settings as far as they stand; what is wrong are problems of the document. `profile_names` are
    those that have a file, in order or not."""
    row = validate(schema.Edge, document)
    buses = {str(name): validate(schema.ModbusTcp, document, ("buses", name)) for name in document.mapping(("buses",))}
    known = {**dict.fromkeys(profile_names), **profiles}
    sensors = tuple(_sensor(document, ("sensors", name), buses, known) for name in document.mapping(("sensors",)))
    good = tuple(sensor for sensor in sensors if sensor)
    _one_source(document, good)
    if row is None:
        return None
    in_flight = row.backlog.pack * row.backlog.window
    if in_flight > MAX_IN_FLIGHT:
        message = f"pack times window is {in_flight} samples in flight, above {MAX_IN_FLIGHT}. Lower one of them"
        document.add(("backlog",), message, at_key=True)
    return settings.Edge(
        tenant=row.tenant,
        device=row.device,
        broker=_broker(document, row.broker, folder, f"{row.tenant}/{row.device}"),
        spool=settings.Spool(folder / row.spool.path, row.spool.commit_interval, row.spool.max_size),
        buses={name: settings.ModbusTcp(bus.host, bus.port, bus.timeout) for name, bus in buses.items() if bus},
        sensors=good,
        delivery=row.delivery,
        pack_samples=row.backlog.pack,
        window_packs=row.backlog.window,
        simulation=row.simulation,
    )


def _sensor(
    document: Document, path: Path, buses: Iterable[str], profiles: Mapping[str, Profile | None]
) -> settings.Sensor | None:
    row = validate(schema.Sensor, document, path)
    if row is None:
        return None
    _known(document, (*path, "bus"), row.bus, "bus", buses)
    _known(document, (*path, "profile"), row.profile, "profile", profiles)
    profile = profiles.get(row.profile)
    if profile is None:
        return None
    if profile.encoding != "registers":
        message = f"{profile.id} is a profile for JSON texts, and '{row.bus}' is a bus that serves registers"
        document.add((*path, "profile"), message)
    values = [value.name for value in profile.values]
    for value in row.channels or {}:
        if value not in values:
            hint = did_you_mean(value, values)
            message = f"the profile {profile.id} has no value '{value}'.{hint} (one of {', '.join(values)})"
            document.add((*path, "channels", value), message, at_key=True)
    return settings.Sensor(
        name=str(path[-1]),
        station=row.station,
        bus=row.bus,
        profile=row.profile,
        interval_s=row.interval,
        unit_id=row.unit_id,
        channels=row.channels or {value: value for value in values},
    )


def _known(document: Document, path: Path, word: str, what: str, choices: Iterable[str]) -> None:
    names = sorted(choices)
    if word not in names:
        known = f"one of {', '.join(names)}" if names else f"there is no {what} at all"
        document.add(path, f"unknown {what} '{word}'.{did_you_mean(word, names)} ({known})")


def _one_source(document: Document, sensors: Iterable[settings.Sensor]) -> None:
    """Two sources of one channel would mix into a series that nobody can read."""
    taken: dict[tuple[str, str], str] = {}
    for sensor in sensors:
        for value, channel in sensor.channels.items():
            other = taken.setdefault((sensor.station, channel), f"{value} of sensor {sensor.name}")
            if other != f"{value} of sensor {sensor.name}":
                message = f"channel {channel} of {sensor.station} is already fed by {other}. Name another channel"
                document.add(("sensors", sensor.name, "channels", value), message)


# --- bridge.yaml


def bridge(document: Document, folder: FilePath, tables: Iterable[str]) -> settings.Bridge | None:
    """The bridge's settings as far as they stand; what is wrong are problems of the document."""
    row = validate(schema.Bridge, document)
    names = document.mapping(("notify", "recipients"))
    recipients = [_recipient(document, ("notify", "recipients", name), folder) for name in names]
    if row is None:
        return None
    _known(document, ("level_table",), row.level_table, "level table", tables)
    if row.limits.held < row.limits.payload:
        message = f"{row.limits.held} bytes held do not hold one payload of {row.limits.payload} bytes"
        document.add(("limits", "held"), message)
    return settings.Bridge(
        store=folder / row.store.path,
        broker=_broker(document, row.broker, folder),
        client_id=row.client_id,
        influx=_influx(document, ("influx",), row.influx, folder) if row.influx else None,
        recipients=tuple(recipient for recipient in recipients if recipient),
        alert_topic=row.notify.alert_topic,
        level_table=row.level_table,
        trust_clock=row.clock.trust,
        future_tolerance_s=row.clock.future_tolerance,
        max_payload=row.limits.payload,
        max_held_bytes=row.limits.held,
        letter_bytes_per_device=row.limits.letters_per_device,
        simulation=row.simulation,
    )


def _influx(document: Document, path: Path, row: schema.Influx, folder: FilePath) -> settings.Influx:
    wanted, other = ("database", "bucket") if row.api == "v1" else ("bucket", "database")
    if getattr(row, other) is not None:
        document.add((*path, other), f"api {row.api} has no {other}. Did you mean '{wanted}'?", at_key=True)
    elif getattr(row, wanted) is None:
        document.add(
            path,
            f"'{wanted}' is missing: api {row.api} writes to one. Add for example '{wanted}: flood'",
            at_key=True,
        )
    if row.password_file and not row.username:
        document.add((*path, "password_file"), "a password needs 'username' beside it", at_key=True)
    return settings.Influx(
        api=row.api,
        url=row.url,
        bucket=getattr(row, wanted) or "",
        org=row.org or "",
        token=_secret(document, (*path, "token_file"), row.token_file, folder),
        username=row.username,
        password=_secret(document, (*path, "password_file"), row.password_file, folder),
        strings=row.strings,
        timeout_s=row.timeout,
        batch=row.batch,
    )


def _recipient(document: Document, path: Path, folder: FilePath) -> settings.Recipient | None:
    row = validate(schema.Recipient, document, path)
    if row is None:
        return None
    if row.medium == "webhook" and row.url is None:
        message = "'url' is missing: a webhook is called there. Add for example 'url: https://desk.example/hook'"
        document.add(path, message, at_key=True)
    if row.medium == "console":
        for key in ("url", "token_file"):
            if getattr(row, key) is not None:
                document.add((*path, key), f"the medium console has no {key}. Leave it out", at_key=True)
    token = _secret(document, (*path, "token_file"), row.token_file, folder)
    return settings.Recipient(str(path[-1]), row.medium, row.url or "", token, row.timeout, row.min_rank)

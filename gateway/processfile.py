"""edge.yaml and bridge.yaml -> the settings of the two processes: defaults filled in, files beside them read.

Paths are relative to the configuration's folder. A secret stands in a file of its own; neither it nor the path
given for it is ever shown, because the path may be the secret written in the wrong place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path as FilePath

from gateway import (
    bulletinfile,
    busfile,
    capfile,
    enrolfile,
    linefile,
    orionfile,
    recipientfile,
    schema,
    serverfile,
    settings,
    units,
)
from gateway.fields import instead
from gateway.profiles import Profile
from gateway.secretfile import secret
from gateway.validation import loosely, validate
from gateway.yamlfile import Document, Path

MIN_STORE = 64_000_000  # the write-ahead log and the reserve alone may take a third of it
MIN_KEEP_S = 86_400.0
MIN_PAPER_S = 60.0
# How far below its level a value must fall until a sensor is read at its ordinary interval again: lengths, others.
RAISED_MARGIN_M, RAISED_MARGIN = 0.05, 0.05
RAISED_RATE_BACK = 0.5  # and to which part of its rate a change must slow down
MAX_IN_FLIGHT = 5000  # samples of backlog without a receipt (wire contract, receipts, rule 7)


# --- parts that both files have


def _broker(document: Document, folder: FilePath, user: str = "") -> settings.Broker | None:
    path: Path = ("broker",)
    row = validate(schema.Broker, document, path) if path[0] in document.mapping(()) else None
    judged = row or loosely(schema.Broker, document, path)
    if judged is None:
        return None
    found = serverfile.broker(document, path, judged, folder, user)
    return found if row else None


# --- edge.yaml


def edge(
    document: Document, folder: FilePath, profiles: Mapping[str, Profile], profile_names: Iterable[str]
) -> settings.Edge | None:
    """The edge's settings as far as they stand; what is wrong are problems of the document. `profile_names` are
    those that have a file, in order or not."""
    row = validate(schema.Edge, document)
    buses = busfile.buses(document, folder)
    types = {name: type_ for name, (type_, _) in buses.items()}
    known = {**dict.fromkeys(profile_names), **profiles}
    sensors = tuple(_sensor(document, ("sensors", name), types, known) for name in document.mapping(("sensors",)))
    good = tuple(sensor for sensor in sensors if sensor)
    _one_source(document, good)
    busfile.alone(document, types)
    linefile.apart(document, good, {name: bus for name, (_, bus) in buses.items()})
    judged = row or loosely(schema.Edge, document, ())
    broker = _broker(document, folder, f"{row.tenant}/{row.device}" if row else "")
    if judged and judged.backlog:
        _bounded(document, judged.backlog)
    if row is None:
        return None
    return settings.Edge(
        tenant=row.tenant,
        device=row.device,
        broker=broker or settings.Broker(),
        spool=settings.Spool(folder / row.spool.path, row.spool.commit_interval, row.spool.max_size),
        buses={name: bus for name, (_, bus) in buses.items() if bus},
        sensors=good,
        delivery=row.delivery,
        pack_samples=row.backlog.pack,
        window_packs=row.backlog.window or MAX_IN_FLIGHT // row.backlog.pack,
        backlog_order=row.backlog.order,
        backlog_rate=row.backlog.rate,
        trust_clock=row.clock.trust,
        simulation=row.simulation,
        health_s=row.health,
        remote=settings.Remote(
            tuple(row.remote.allow), row.remote.interval.min, row.remote.interval.max, row.remote.interval.longest
        ),
    )


def single(document: Document, profile: Profile) -> tuple[settings.Bus | None, settings.Sensor | None]:
    """The one bus and the one sensor of a document that has nothing else of edge.yaml; its files are looked for where
    this process stands."""
    ((name, (type_, bus)),) = busfile.buses(document, FilePath()).items()
    ((sensor),) = (
        _sensor(document, ("sensors", x), {name: type_}, {profile.id: profile}) for x in document.mapping(("sensors",))
    )
    return bus, sensor


def _bounded(document: Document, row: schema.Backlog) -> None:
    in_flight = row.pack * (row.window or 1)
    if in_flight > MAX_IN_FLIGHT:
        message = f"pack times window is {in_flight} samples in flight, above {MAX_IN_FLIGHT}. Lower one of them"
        document.add(("backlog",), message, at_key=True)


def _sensor(
    document: Document, path: Path, buses: Mapping[str, str], profiles: Mapping[str, Profile | None]
) -> settings.Sensor | None:
    row = validate(schema.Sensor, document, path)
    judged = row or loosely(schema.Sensor, document, path)
    if judged is None:
        return None
    _known(document, (*path, "bus"), judged.bus, "bus", buses)
    _known(document, (*path, "profile"), judged.profile, "profile", profiles)
    profile = profiles.get(judged.profile)
    if profile is None:
        return None
    address = busfile.fits(document, path, judged, buses.get(judged.bus, ""), profile) if judged.bus else ""
    lines: tuple[settings.Line, ...] = ()
    if buses.get(judged.bus or "") == "gpio" and profile.asked.gpio:
        lines = linefile.lines(document, path, judged.lines, profile)
        linefile.unburst(document, path, judged.burst, profile)
    if not profile.verified and not judged.accept_unverified:
        message = f"{profile.id} is not verified: nobody compared it with its sensor. Add 'accept_unverified: true'"
        document.add((*path, "profile"), message)
    values = [value.name for value in profile.values]
    for value in judged.channels or {}:
        if value not in values:
            message = f"the profile {profile.id} has no value '{value}'{instead(value, values)}"
            document.add((*path, "channels", value), message, at_key=True)
    raised = _raised(document, (*path, "raised"), judged, profile) if judged.raised else None
    if row is None:
        return None
    return settings.Sensor(
        name=str(path[-1]),
        station=row.station,
        bus=row.bus,
        profile=row.profile,
        interval_s=row.interval,
        unit_id=1 if row.unit_id is None else row.unit_id,
        channels=row.channels or {value: value for value in values},
        raised=raised,
        address=address,
        burst=row.burst or profile.sampled.burst,
        lines=lines,
    )


def _raised(document: Document, path: Path, row: schema.Sensor, profile: Profile) -> settings.Raised | None:
    assert row.raised is not None
    faster = row.raised.interval
    if faster and row.interval and faster >= row.interval:
        message = f"{faster:g} s is not shorter than the ordinary interval of {row.interval:g} s"
        document.add((*path, "interval"), message)
    sent = list(row.channels or [value.name for value in profile.values])
    triggers = []
    for key in ("above", "below", "rising", "falling"):
        for name, stated in getattr(row.raised, key).items():
            value = profile.value(name)
            if value is None or name not in sent:
                message = f"'{name}' is not a value that is sent{instead(name, sent)}"
                document.add((*path, key, name), message, at_key=True)
                continue
            try:
                triggers.append(_trigger(key, name, stated, value.quantity))
            except ValueError as e:
                document.add((*path, key, name), str(e))
    if not any(getattr(row.raised, key) for key in ("above", "below", "rising", "falling")):
        document.add(path, "nothing says when. Add for example 'above: {water_level: 1.50 m}'", at_key=True)
    return settings.Raised(faster, tuple(triggers)) if faster else None


def _trigger(key: str, name: str, stated: str, quantity: str) -> settings.Trigger:
    """Raises ValueError that says what would be right."""
    if key in ("rising", "falling"):
        at = units.parse_rate(stated, quantity)
        if at <= 0:
            raise ValueError(f"{stated} is no change. Write it like '{units.rate_example(quantity)}'")
        return settings.Trigger(name, at, round(at * RAISED_RATE_BACK, 9), key == "rising", rate=True)
    at, upwards = units.parse(stated, quantity), key == "above"
    margin = RAISED_MARGIN_M if units.QUANTITIES[quantity].unit == "m" else abs(at) * RAISED_MARGIN
    return settings.Trigger(name, at, round(at - margin if upwards else at + margin, 9), upwards)


def _known(document: Document, path: Path, word: str | None, what: str, choices: Iterable[str]) -> None:
    names = sorted(choices)
    if word and word not in names:
        document.add(path, f"unknown {what} '{word}'{instead(word, names)}")


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
    media = recipientfile.media(document, folder)
    recipients = recipientfile.recipients(document, folder, media)
    cap = capfile.cap_of(document, folder)
    paper = _paper(document, folder, cap)
    enrolment = enrolfile.enrolment_of(document, folder)
    orion = orionfile.orion_of(document, folder)
    judged = row or loosely(schema.Bridge, document, ())
    broker = _broker(document, folder)
    influx = _influx(document, ("influx",), folder) if document.mapping(()).get("influx") is not None else None
    if judged:
        _known(document, ("level_table",), judged.level_table, "level table", tables)
    if judged and judged.store and judged.store.max_size < MIN_STORE:
        message = f"{judged.store.max_size} bytes hold no store. Write at least {MIN_STORE // 1_000_000}MB"
        document.add(("store", "max_size"), message)
    if judged and judged.store and judged.store.keep < MIN_KEEP_S:
        message = "page and alerts read the store: readings are kept for at least a day. Write for example '365d'"
        document.add(("store", "keep"), message)
    if judged and judged.limits and judged.limits.held < judged.limits.payload:
        message = f"{judged.limits.held} bytes cannot hold one payload of {judged.limits.payload} bytes"
        document.add(("limits", "held"), message)
    if row is None:
        return None
    return settings.Bridge(
        store=folder / row.store.path,
        broker=broker or settings.Broker(),
        client_id=row.client_id,
        influx=influx,
        orion=orion,
        bulletins=bulletinfile.bulletins_of(document),
        recipients=recipients,
        alert_topic=row.notify.alert_topic,
        media=media | recipientfile.misdescribed(document, media),
        level_table=row.level_table,
        trust_clock=row.clock.trust,
        future_tolerance_s=row.clock.future_tolerance,
        max_payload=row.limits.payload,
        max_held_bytes=row.limits.held,
        letter_bytes_per_device=row.limits.letters_per_device,
        store_max_bytes=row.store.max_size,
        store_keep_s=row.store.keep,
        watch=(row.watch.host, row.watch.port) if row.watch else None,
        heartbeat=settings.Heartbeat(row.heartbeat.url, row.heartbeat.every) if row.heartbeat else None,
        cap=cap,
        paper=paper,
        enrolment=enrolment,
        simulation=row.simulation,
    )


def _paper(document: Document, folder: FilePath, cap: settings.Cap | None) -> settings.Paper | None:
    if document.mapping(()).get("paper") is None:
        return None
    row = validate(schema.Paper, document, ("paper",))
    if row is None:
        return None
    if row.every < MIN_PAPER_S:
        document.add(("paper", "every"), f"{row.every:g} s is too often for paper. Write at least '1min'")
    if row.keep < row.every:
        document.add(("paper", "keep"), "a copy is kept until the next one is made at least. Write for example '3d'")
    sender = row.sender or (cap.sender_ja if cap else settings.Cap(folder, "").sender_ja)
    return settings.Paper(folder / row.folder, row.every, row.keep, row.language, sender)


def _influx(document: Document, path: Path, folder: FilePath) -> settings.Influx | None:
    row = validate(schema.Influx, document, path)
    judged = row or loosely(schema.Influx, document, path)
    if judged is None:
        return None
    stated = document.mapping(path)
    wanted, other = ("database", "bucket") if judged.api == "v1" else ("bucket", "database")
    if judged.api and other in stated:
        document.add((*path, other), f"api {judged.api} has no {other}. Did you mean '{wanted}'?", at_key=True)
    elif judged.api and wanted not in stated:
        message = f"'{wanted}' is missing: api {judged.api} writes to one. Add for example '{wanted}: flood'"
        document.add(path, message, at_key=True)
    if "password_file" in stated and "username" not in stated:
        document.add((*path, "password_file"), "a password needs 'username' beside it", at_key=True)
    token = secret(document, (*path, "token_file"), judged.token_file, folder)
    password = secret(document, (*path, "password_file"), judged.password_file, folder)
    if row is None:
        return None
    return settings.Influx(
        api=row.api,
        url=row.url,
        bucket=getattr(row, wanted) or "",
        org=row.org or "",
        token=token,
        username=row.username,
        password=password,
        strings=row.strings,
        timeout_s=row.timeout,
        batch=row.batch,
    )

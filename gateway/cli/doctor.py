"""`suimon doctor`: what keeps this house from working, each with a remedy."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import times
from gateway.cli.process import ConfigOption

if TYPE_CHECKING:
    from gateway import settings
    from gateway.config import Folder
    from gateway.doctor import Finding
    from gateway.profiles import Profile

EXIT_ILL = 1
_SIGNS = {"ok": "ok   ", "warn": "WARN ", "fail": "FAIL ", "skipped": "skip "}


def doctor(
    folder: Path = ConfigOption,
    json_output: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Look for what keeps agent or bridge from working: configuration, clock, disk, files, broker, TLS, InfluxDB,
    sensors' buses, media. Sends no alert and changes nothing. Exit code 1 where something fails."""
    findings = []
    for finding in examine(folder):
        findings.append(finding)
        if not json_output:
            typer.echo(line(finding))
    ill = [f for f in findings if f.state == "fail"]
    doubtful = [f for f in findings if f.state == "warn"]
    if json_output:
        document = {"version": 1, "healthy": not ill, "findings": [asdict(f) for f in findings]}
        typer.echo(json.dumps(document, ensure_ascii=False, indent=2))
    else:
        typer.echo(f"{len(findings)} looked at, {len(ill)} failing, {len(doubtful)} doubtful.")
    if ill:
        raise typer.Exit(EXIT_ILL)


def line(f: Finding) -> str:
    remedy = f"\n       {f.remedy}" if f.remedy else ""
    return f"{_SIGNS[f.state]} {f.name:11} {f.place}: {f.message}{remedy}"


def examine(folder: Path) -> Iterator[Finding]:
    """Every finding, as it is made. A configuration with mistakes is the only finding: nothing else can be known."""
    from gateway import config
    from gateway.clock import SystemClock
    from gateway.doctor import Finding, State, clock, zone

    found = config.inspect(folder)
    if found.problems:
        message = f"{len(found.problems)} problem{'s' * (len(found.problems) != 1)}: {found.problems[0]}"
        yield Finding("config", str(folder), State.FAIL, message, f"'suimon check {folder}' shows all")
        return
    yield Finding("config", str(folder), State.OK, "no problems")
    believed = any(x is not None and x.trust_clock == "always" for x in (found.bridge, found.edge))
    yield clock(SystemClock(), believed)
    if found.bridge is not None:
        local = datetime.now().astimezone()
        yield zone(local.utcoffset(), times.zone())
    yield from _secrets(found)
    if found.edge:
        yield from _edge(found.edge, found.profiles)
    if found.bridge:
        yield from _bridge(found.bridge)


def _secrets(found: Folder) -> Iterator[Finding]:
    from gateway import yamlfile
    from gateway.config import BRIDGE, EDGE
    from gateway.doctor import secret

    for name in (EDGE, BRIDGE):
        if (found.path / name).exists():
            for file in sorted(set(_files(yamlfile.read(found.path / name, name).mapping(())))):
                yield secret(found.path / file)


def _files(value: Any) -> Iterator[str]:
    """The secret files that a configuration names."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("password_file", "token_file", "key_file", "secret_file", "url_file") and isinstance(inner, str):
                yield inner
            else:
                yield from _files(inner)


def _broker(to: settings.Broker, client_id: str, topics: list[str], echo: bool) -> Iterator[Finding]:
    from gateway import doctor as look

    reached = look.reach("network", to.host, to.port, "Is the broker up, and does a firewall let us out?")
    yield reached
    if reached.state != "ok":
        return
    if to.tls:
        finding = look.tls(to)
        yield finding
        if finding.state == "fail":
            return
    yield look.broker(to, client_id, topics, echo)


def _edge(edge: settings.Edge, profiles: Mapping[str, Profile]) -> Iterator[Finding]:
    from gateway import doctor as look
    from gateway import doctorlines, settings, wire
    from gateway.edge import spoolfile

    yield from look.disk(edge.spool.path, edge.spool.max_bytes)
    yield look.database("spool", edge.spool.path, spoolfile.VERSION)
    for name, bus in edge.buses.items():
        if isinstance(bus, settings.ModbusRtu | settings.Serial | settings.Sdi12):
            yield look.port(f"bus {name}", bus.port)
        elif isinstance(bus, settings.I2c):
            yield look.port(f"bus {name}", bus.port, look.I2C)
        elif isinstance(bus, settings.Sysfs):
            for sensor in (x for x in edge.sensors if x.bus == name):
                yield look.device(f"bus {name}", bus, profiles[sensor.profile], sensor)
        elif isinstance(bus, settings.Gpio):
            lines = [line for sensor in edge.sensors if sensor.bus == name for line in sensor.lines]
            yield doctorlines.chip(f"bus {name}", bus.chip, lines)
        elif isinstance(bus, settings.Mqtt):
            topics = [sensor.address for sensor in edge.sensors if sensor.bus == name]
            for finding in _broker(bus.broker, f"doctor-{secrets.token_hex(4)}", topics, echo=False):
                yield replace(finding, name=f"bus {name}")
        else:
            remedy = "Is the sensor powered, its address right, the cable whole?"
            yield look.reach(f"bus {name}", bus.host, bus.port, remedy)
    to = edge.broker
    if look.is_running(edge.spool.path):
        # The same login would take the running agent's place for a moment wherever a broker goes by user names.
        place, message = (
            f"{to.host}:{to.port}",
            "the agent is running and holds this login; its log tells how it stands",
        )
        yield look.Finding("broker", place, look.State.SKIPPED, message)
        return
    topics = [wire.topic(edge.tenant, edge.device, "receipt"), wire.BRIDGE_STATUS]
    yield from _broker(to, f"{edge.tenant}:{edge.device}", topics, echo=False)


def _bridge(bridge: settings.Bridge) -> Iterator[Finding]:
    from gateway import doctor as look
    from gateway import doctormedia, storeschema, wire

    yield from look.disk(bridge.store, None)
    yield look.database("store", bridge.store, storeschema.VERSION)
    topics = [f"{wire.ROOT}/+/+/{kind}" for kind in wire.FROM_DEVICE]
    yield from _broker(bridge.broker, f"doctor-{secrets.token_hex(4)}", topics, echo=True)
    if bridge.influx:
        yield from look.influx(bridge.influx)
    if bridge.orion:
        yield from look.context_broker(bridge.orion)
    if bridge.bulletins:
        yield from look.bulletins(bridge.bulletins)
    yield from doctormedia.media(bridge)
    if bridge.cap:
        yield look.folder("CAP folder", bridge.cap.folder)

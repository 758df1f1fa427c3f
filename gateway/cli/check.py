"""`suimon check`: every mistake in a configuration folder with its place and remedy, before anything starts."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.errors import ConfigError

if TYPE_CHECKING:
    from gateway.config import Folder

EXIT_CONFIG = 3  # the exit code of every command whose configuration cannot be used


def check(
    folder: Annotated[Path, typer.Argument(help="The folder with the YAML files.")] = Path(),
    json_output: Annotated[bool, typer.Option("--json", help="Print the problems as JSON.")] = False,
) -> None:
    """Check the configuration in a folder. Needs no network and starts nothing."""
    from gateway import config  # it builds the schemas, which every other command would wait for

    found = config.inspect(folder)
    if json_output:
        typer.echo(json.dumps({"problems": [asdict(p) for p in found.problems]}, ensure_ascii=False, indent=2))
    elif found.problems:
        typer.echo(str(ConfigError(found.problems)), err=True)
    else:
        typer.echo("\n".join([*_summary(found), "No problems."]))
    if found.problems:
        raise typer.Exit(EXIT_CONFIG)


def _summary(found: Folder) -> list[str]:
    """A line for each file: how much of what it holds, so that a station that was forgotten shows."""
    lines = []
    if found.registry:
        channels = [c for station in found.registry.stations.values() for c in station.channels.values()]
        thresholds = sum(len(channel.thresholds) for channel in channels)
        stations = _count(len(found.registry.stations), "station")
        lines.append(
            f"stations.yaml: {stations}, {_count(len(channels), 'channel')}, {_count(thresholds, 'threshold')}"
        )
    if found.bridge:
        influx = "InfluxDB" if found.bridge.influx else "no InfluxDB"
        recipients = sum(not r.to for r in found.bridge.recipients)
        lines.append(f"bridge.yaml: {_count(recipients, 'recipient')}, {influx}")
    if found.bridge and found.bridge.templates:
        names = ", ".join(sorted(f"{whose}.{language}" for whose, language in found.bridge.templates))
        lines.append(
            f"templates: {names}, for alerts of stations; common causes of silence, conditions of the house, tests of "
            "the call, the alert topic and CAP keep Suimon's words"
        )
    if found.bridge and (people := found.bridge.people):
        members = _count(len(people.members), "member")
        plans = _count(len(people.plans), "plan")
        lines.append(f"people.yaml: {_count(len(people.roles), 'role')}, {members}, {plans}, somebody at all times")
    if found.edge:
        buses = _count(len(found.edge.buses), "bus", "buses")
        lines.append(f"edge.yaml: {found.edge.device}, {buses}, {_count(len(found.edge.sensors), 'sensor')}")
    if found.web and (found.path / "web.yaml").exists():
        who = "anybody may read it" if found.web.public else "nobody reads it without an account"
        lines.append(f"web.yaml: {found.web.host}:{found.web.port}{found.web.path}, {who}")
    from gateway.config import PROFILES

    folder = found.path / PROFILES
    own = [profile for profile in found.profiles.values() if (folder / f"{profile.id}.yaml").exists()]
    if own:
        examples = sum(len(profile.examples) for profile in own)
        lines.append(f"device_profiles: {_count(len(own), 'profile')}, {_count(examples, 'example')} executed")
    return lines


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"

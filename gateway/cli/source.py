"""`suimon source`: what a source of bridge.yaml makes of a message, before it is trusted with a river."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli import process

source_app = typer.Typer(no_args_is_help=True, help="Messages of devices of others.")
EXIT_REFUSED = 1


@source_app.command("test")
def try_out(
    topic: Annotated[str, typer.Argument(help="The topic, as the device publishes it.")],
    payload: Annotated[Path, typer.Argument(help="A file with the message; - for standard input.")],
    folder: Path = process.ConfigOption,
    json_output: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Show which readings a message becomes, or why it would be a dead letter. Nothing is stored or sent."""
    from gateway import config
    from gateway.bridge import trial

    with process.told():
        bridge, registry = config.load_bridge(folder)
    data = sys.stdin.buffer.read() if str(payload) == "-" else _read(payload)
    said = trial.of(bridge, registry, topic, data)
    typer.echo(json.dumps(said, ensure_ascii=False, indent=2) if json_output else "\n".join(_lines(said)))
    if said["refused"]:
        raise typer.Exit(EXIT_REFUSED)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as e:
        raise typer.BadParameter(f"{file}: {e.strerror}. Name a file with one message, or - for standard input") from e


def _lines(said: dict[str, Any]) -> list[str]:
    readings = [f"{x['station']}/{x['channel']}: {_value(x)}, {x['at']}, flag {x['flag']}" for x in said["readings"]]
    refused = [f"refused, {x['code']}: {x['detail']}" for x in said["refused"]]
    source = f"source {said['source']}, device {said['device']}" if said["source"] else "no source takes this topic"
    return [source, *readings, *refused, *([] if readings or refused else ["nothing that was asked for"])]


def _value(reading: dict[str, Any]) -> str:
    return f"fault {reading['fault']}" if reading["fault"] else f"{reading['value']:g} {reading['unit']}"

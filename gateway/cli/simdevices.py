"""`suimon sim devices` and `suimon sim account`: devices of others, simulated at a real broker, and what became of what
they said.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from gateway import units
from gateway.cli.process import EXIT_CONFIG, EXIT_UNAVAILABLE, simulators_module

EXIT_OPEN = 1  # the account does not close
MOST = 1000  # times a fault

Folder = Annotated[Path, typer.Option("--data", help="Folder for the configuration, the logs, and the bridge's store.")]


def devices(
    data: Folder,
    formats: Annotated[str, typer.Option(help="Which formats, as 'senml_json,esphome', or 'all'.")] = "all",
    faults: Annotated[str, typer.Option(help="What goes wrong, as 'lost,late*3', 'all', or 'none'.")] = "all",
    readings: Annotated[int, typer.Option(min=1, max=100_000, help="How many each device makes.")] = 100,
    interval: Annotated[str, typer.Option(help="Between two readings of a device.")] = "10min",
    broker: Annotated[str, typer.Option(help="HOST:PORT of the MQTT broker.")] = "127.0.0.1:1883",
    seed: Annotated[int, typer.Option(help="Another seed, other water and other places of the faults.")] = 1,
    live: Annotated[bool, typer.Option("--live", help="Each reading at its time from now on.")] = False,
    configure: Annotated[bool, typer.Option("--configure", help="Write the configuration and end.")] = False,
) -> None:
    """Publish as devices of others do, one for each format, with faults; a log of their own says what is right.

    First with --configure: it writes a configuration for the bridge. Then start the bridge, and publish."""
    module = simulators_module("foreigndevices")
    try:
        host, port = _broker(broker)
        chosen = list(module.FORMATS) if formats == "all" else _names(formats, module.FORMATS, "--formats", "format")
        wrong = _faults(faults, module.CATALOGUE)
        step_ms = round(units.seconds(interval) * 1000)
        until_ms = round(time.time() * 1000) + (readings - 1) * step_ms * live
        senders = [module.plan(name, wrong, readings, until_ms, step_ms, seed) for name in chosen]
    except ValueError as e:
        _refuse(str(e))
    house = simulators_module("foreignhouse")
    if configure:
        house.configure(data, senders, host, port)
        typer.echo(f"{data} holds a house of {len(senders)} devices. 'suimon bridge run --config {data}' reads them.")
        return
    if not (data / "bridge.yaml").exists():
        _refuse(f"{data} has no bridge.yaml. Write one with --configure, start the bridge with it, then publish")
    _publish(house, senders, host, port, data, live)


def _publish(house: Any, senders: Any, host: str, port: int, data: Path, live: bool) -> None:
    def due(message: Any) -> None:
        if live:
            time.sleep(max(0.0, message.sent_ms / 1000 - time.time()))

    try:
        sent = house.publish(senders, host, port, data, 0.005, due)
    except OSError as e:
        typer.echo(str(e), err=True)
        raise typer.Exit(EXIT_UNAVAILABLE) from e
    typer.echo(f"{sent} messages of {len(senders)} devices are at {host}:{port}. What each was: {data / 'published'}.")
    typer.echo(f"'suimon sim account --data {data}' compares them with what the bridge has stored.")


def account(
    data: Folder,
    json_output: Annotated[bool, typer.Option("--json", help="Print the account as JSON.")] = False,
) -> None:
    """Compare what the simulated devices published with the store of the bridge in the same folder."""
    try:
        found = simulators_module("foreignhouse").account(data)
    except (OSError, sqlite3.Error) as e:
        _refuse(f"{data}: {e}. Has a bridge run with this folder, and were devices simulated?")
    if json_output:
        typer.echo(json.dumps(asdict(found) | {"closes": not found.problems}, indent=2))
    else:
        rows: list[tuple[str, ...]] = [("device", "sent", "good", "again", "wrong", "lost", "stored", "letters")]
        rows += [tuple(str(figure) for figure in astuple(line)) for line in found.lines]
        for device, *figures in rows:
            typer.echo(f"{device:22}" + "".join(f"{figure:>9}" for figure in figures))
        typer.echo("\n".join(found.problems) or "The account closes.")
    if found.problems:
        raise typer.Exit(EXIT_OPEN)


def _broker(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not host or not colon or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"--broker {text}: write HOST:PORT, like 127.0.0.1:1883")
    return host, int(port)


def _names(text: str, known: Mapping[str, object], option: str, what: str) -> list[str]:
    from gateway import fields

    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in known:
            raise ValueError(f"{option}: unknown {what} '{name}'{fields.instead(name, [*known, 'all'])}")
    return list(dict.fromkeys(names))


def _faults(text: str, catalogue: Mapping[str, object]) -> list[str]:
    """'lost,late*3' as names, each as often as it shall happen."""
    from gateway import fields

    if text in ("all", "none"):
        return list(catalogue) if text == "all" else []
    out: list[str] = []
    for part in text.split(","):
        name, star, times = (x.strip() for x in part.partition("*"))
        if name not in catalogue:
            raise ValueError(f"--faults: unknown fault '{name}'{fields.instead(name, [*catalogue, 'all', 'none'])}")
        if star and not (times.isdigit() and 1 <= int(times) <= MOST):
            raise ValueError(f"--faults: {part.strip()!r}; write a number from 1 to {MOST} after the star")
        out += [name] * (int(times) if star else 1)
    return out


def _refuse(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(EXIT_CONFIG)

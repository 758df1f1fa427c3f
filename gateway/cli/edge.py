"""`suimon edge`: the agent on the device."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer

from gateway import units
from gateway.cli import process, reading
from gateway.cli.join import join
from gateway.errors import GoneReason, NoticeCode

edge_app = typer.Typer(help="The agent on the device.", no_args_is_help=True)
edge_app.command("join")(join)


@edge_app.callback()
def _edge() -> None:
    """The agent on the device."""


@edge_app.command("run")
def run(
    folder: Path = process.ConfigOption,
    sim_clock: Path | None = process.ClockOption,
    crash: str | None = process.CrashOption,
    journal: Path | None = process.DiskOption,
) -> None:
    """Sample the sensors, spool and publish, until stopped."""
    from gateway import config
    from gateway.edge.agent import Agent
    from gateway.edge.lastwords import LastWords
    from gateway.edge.pushed import Pushed
    from gateway.systemd import Supervisor

    process.start_logging()
    logging.getLogger().addHandler(words := LastWords())
    with process.told():
        own = config.load_edge(folder)
        mark = process.crash_at(crash, own[0].simulation)
        pushed = Pushed(folder, own[0].spool.path, mark)
        edge, profiles = pushed.start(own)
        clock = process.clock_of(sim_clock, edge.simulation, "edge.yaml", edge.trust_clock == "always")
        disk = process.disk_of(journal, edge.simulation)
        supervisor = Supervisor.of(os.environ)
        agent = Agent(edge, profiles, clock, mark, disk, supervisor=supervisor, pushed=pushed, last_words=words.lines)
    process.stop_on_signals(agent.stop)
    agent.run()
    logging.info("stopped; %d samples wait in the spool", agent.waiting)
    if agent.again:
        process.begin_anew()


edge_app.command("read")(reading.read)


@edge_app.command("status")
def status(
    folder: Path = process.ConfigOption,
    as_json: bool = typer.Option(False, "--json", help="Print as JSON."),
) -> None:
    """How the spool stands: what it holds, what was given up, for how long it lasts without the bridge."""
    from gateway import config
    from gateway.edge import status as look

    with process.told():
        edge, _ = config.load_edge(folder)
        found = look.read(edge)
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
        return
    for line in _in_words(found):
        print(line)


def _in_words(found: dict[str, Any]) -> Iterator[str]:
    share = found["bytes_used"] / found["bytes_ceiling"]
    logs = f"{found['logs']} of at most {found['logs_ceiling']} logs"
    yield f"spool {found['path']}: {found['samples']} samples in {logs}"
    if found["oldest_ms"] is not None:
        yield f"oldest sample: {_time(found['oldest_ms'])}"
    yield f"used: {found['bytes_used']} of {found['bytes_ceiling']} bytes ({share:.0%}); settled samples make room"
    if found["hours_total"] is not None:
        lasts = units.in_words(found["hours_total"] * 3600)
        yield f"lasts {lasts} without the bridge, at the sampling rates configured"
    agent = found["agent"]
    if agent is None or agent["unsettled"] is None:
        yield "without a receipt: not known, no agent has noted one"
    else:
        yield f"without a receipt: {agent['unsettled']} samples, as the agent noted at {_time(agent['at_ms'])}"
    for code in agent["notices"] if agent else ():
        yield f"notice: {NoticeCode(code).sentence}" if code in NoticeCode._value2member_map_ else f"notice: {code}"
    for reason, count in sorted(found["gone"].items()):
        known = reason in GoneReason._value2member_map_
        yield f"gone: {count} samples, {GoneReason(reason).sentence if known else reason}"
    if found["set_aside"]:
        yield f"set aside: {found['set_aside']} samples that the bridge's receipts passed over, kept in table set_aside"
    for name in found["damaged"]:
        yield f"damaged file kept: {name}"


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

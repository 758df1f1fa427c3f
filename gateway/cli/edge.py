"""`suimon edge`: the agent on the device."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import typer

from gateway.cli import process

edge_app = typer.Typer(help="The agent on the device.", no_args_is_help=True)


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
    from gateway.systemd import Supervisor

    process.start_logging()
    with process.told():
        edge, profiles = config.load_edge(folder)
        clock = process.clock_of(sim_clock, edge.simulation, "edge.yaml")
        disk = process.disk_of(journal, edge.simulation)
        mark = process.crash_at(crash, edge.simulation)
        agent = Agent(edge, profiles, clock, mark, disk, supervisor=Supervisor.of(os.environ))
    process.stop_on_signals(agent.stop)
    agent.run()
    logging.info("stopped; %d samples wait in the spool", agent.waiting)

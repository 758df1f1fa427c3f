"""`suimon edge`: the agent on the device."""

from __future__ import annotations

import logging
from pathlib import Path

import typer

from gateway.cli.process import (
    ClockOption,
    ConfigOption,
    CrashOption,
    clock_of,
    crash_at,
    refuse,
    start_logging,
    stop_on_signals,
    unavailable,
)
from gateway.errors import ConfigError, Unavailable

edge_app = typer.Typer(help="The agent on the device.", no_args_is_help=True)


@edge_app.callback()
def _edge() -> None:
    """The agent on the device."""


@edge_app.command("run")
def run(folder: Path = ConfigOption, sim_clock: Path | None = ClockOption, crash: str | None = CrashOption) -> None:
    """Sample the sensors, spool and publish, until stopped."""
    from gateway import config
    from gateway.edge.agent import Agent

    start_logging()
    try:
        edge, profiles = config.load_edge(folder)
        agent = Agent(
            edge, profiles, clock_of(sim_clock, edge.simulation, "edge.yaml"), crash_at(crash, edge.simulation)
        )
    except ConfigError as e:
        raise refuse(e) from e
    except Unavailable as e:
        raise unavailable(e) from e
    stop_on_signals(agent.stop)
    agent.run()
    logging.info("stopped; %d samples wait in the spool", agent.waiting)

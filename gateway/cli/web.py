"""`suimon web`: the page for the duty room and the open interface."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli import process, webuser
from gateway.errors import ConfigError, Problem, Unavailable

web_app = typer.Typer(help="The page for the duty room and the open interface.", no_args_is_help=True)
web_app.add_typer(webuser.user_app, name="user")
web_app.add_typer(webuser.token_app, name="token")
web_app.command("audit")(webuser.audit)


@web_app.callback()
def _web() -> None:
    """The page for the duty room and the open interface."""


@web_app.command("run")
def run(
    folder: Path = process.ConfigOption,
    port: Annotated[int | None, typer.Option("--port", min=1, max=65535, help="Instead of that of web.yaml.")] = None,
    sim_clock: Path | None = process.ClockOption,
    demo: Annotated[
        bool, typer.Option("--demo", hidden=True, help="Whoever sits here is operator; simulation only.")
    ] = False,
) -> None:
    """Serve the page until stopped: to this machine, unless web.yaml says otherwise."""
    from gateway import config

    process.start_logging()
    with process.told():
        web, bridge, registry = config.load_web(folder)
        clock = process.clock_of(sim_clock, bridge.simulation, "bridge.yaml")
        if demo and not bridge.simulation:
            raise ConfigError([Problem("--demo", 1, 1, "", "refused outside a simulation ('simulation: true')")])
        try:
            from gateway.web import serving
        except ModuleNotFoundError as e:
            raise Unavailable(f"the page needs the package {e.name}: pip install 'suimon[web]'") from e
        site = serving.site_of(replace(web, loopback_operator=demo), bridge, registry, folder, clock)
        server = serving.Server(site, port, config.load_web)
        server.bind()
    logging.info("the page is at %s", server.address)
    process.stop_on_signals(server.stop)
    server.run()

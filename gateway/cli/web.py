"""`suimon web`: the page for the duty room and the open interface."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli import process
from gateway.errors import Unavailable

web_app = typer.Typer(help="The page for the duty room and the open interface.", no_args_is_help=True)


@web_app.callback()
def _web() -> None:
    """The page for the duty room and the open interface."""


@web_app.command("run")
def run(
    folder: Path = process.ConfigOption,
    port: Annotated[int | None, typer.Option("--port", min=1, max=65535, help="Instead of that of web.yaml.")] = None,
) -> None:
    """Serve the page until stopped: to this machine, unless web.yaml says otherwise."""
    from gateway import config

    process.start_logging()
    with process.told():
        web, bridge, registry = config.load_web(folder)
        try:
            from gateway.web import serving
        except ModuleNotFoundError as e:
            raise Unavailable(f"the page needs the package {e.name}: pip install 'suimon[web]'") from e
        server = serving.Server(serving.site_of(web, bridge, registry, folder), port)
        server.bind()
    logging.info("the page is at %s", server.address)
    process.stop_on_signals(server.stop)
    server.run()

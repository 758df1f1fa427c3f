"""`suimon bridge`: from the broker to the store, InfluxDB and people."""

from __future__ import annotations

import logging
from pathlib import Path

import typer

from gateway import config
from gateway.cli.process import ClockOption, ConfigOption, clock_of, refuse, start_logging, stop_on_signals, unavailable
from gateway.errors import ConfigError, Unavailable

bridge_app = typer.Typer(help="From the broker to the store, InfluxDB and people.", no_args_is_help=True)


@bridge_app.callback()
def _bridge() -> None:
    """From the broker to the store, InfluxDB and people."""


@bridge_app.command("run")
def run(folder: Path = ConfigOption, sim_clock: Path | None = ClockOption) -> None:
    """Store what the devices send, answer with receipts, raise alerts, until stopped."""
    from gateway.bridge.service import Service

    start_logging()
    try:
        bridge, registry = config.load_bridge(folder)
        service = Service(bridge, registry, clock_of(sim_clock, bridge.simulation, "bridge.yaml"))
    except ConfigError as e:
        raise refuse(e) from e
    except Unavailable as e:
        raise unavailable(e) from e
    except ModuleNotFoundError as e:
        raise unavailable(Exception(f"InfluxDB needs the package {e.name}: pip install 'suimon[bridge]'")) from e
    stop_on_signals(service.stop)
    service.run()
    logging.info("stopped; samples: %s", service.summary())

"""`suimon demo`: a flood on this machine in two minutes, through the real agent, broker and bridge."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Seconds = Annotated[float | None, typer.Option(min=5, help="Real seconds that the flood takes (120).")]
Speed = Annotated[str | None, typer.Option(help="Virtual seconds in a real one, or 'max': as fast as it is sampled.")]
Replay = Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="Play a recorded CSV instead.")]
InfluxUrl = Annotated[str | None, typer.Option(help="Write points there as well (InfluxDB 1, 2, 3, VictoriaMetrics).")]
InfluxDatabase = Annotated[str, typer.Option(help="Database or bucket.")]
InfluxOrg = Annotated[str, typer.Option(help="Organisation, for InfluxDB 2.")]
InfluxToken = Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="File with the token.")]
AsJson = Annotated[
    bool, typer.Option("--json", help="End with one JSON object on stdout, and show nothing else there.")
]
Data = Annotated[Path | None, typer.Option(help="An empty folder for everything; a temporary one if not given.")]
BrokerKind = Annotated[str, typer.Option(help="auto: mosquitto where it is installed, else 'embedded'.")]
Port = Annotated[int | None, typer.Option(min=1, max=65535, help="Port of the page; 8080 where that is free.")]
AccountOf = Annotated[
    Path | None,
    typer.Option(
        "--account", exists=True, file_okay=False, help="Only close the account of an earlier demo's folder, again."
    ),
]


def demo(
    seconds: Seconds = None,
    speed: Speed = None,
    replay: Replay = None,
    influx_url: InfluxUrl = None,
    influx_database: InfluxDatabase = "suimon_demo",
    influx_org: InfluxOrg = "suimon",
    influx_token_file: InfluxToken = None,
    json_output: AsJson = False,
    data: Data = None,
    broker: BrokerKind = "auto",
    port: Port = None,
    account: AccountOf = None,
) -> None:
    """Flood a small river: three simulated sensors, real agents, a real broker, the real bridge, and an account."""
    from gateway.demo.run import Options, demonstrate  # what it needs would slow every other command

    influx = (influx_url, influx_database, influx_org, influx_token_file)
    code = demonstrate(Options(seconds, speed, replay, *influx, json_output, data, broker, port, account))
    raise typer.Exit(code)

"""`suimon sim contextbroker` and `suimon sim bulletins`: a context broker to push to, and bulletins to read, without
those of the city and of the Meteorological Agency."""

from __future__ import annotations

import signal
import threading
from typing import Annotated

import typer

from gateway.cli.process import EXIT_UNAVAILABLE, simulators_module


def contextbroker(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where it listens; 0: any free port.")] = 1026,
) -> None:
    """A context broker of NGSIv2 on this machine, that refuses what FIWARE Orion refuses; its faults on demand."""
    try:
        broker = simulators_module("contextbroker").ContextBroker(port)
    except OSError as e:
        typer.echo(f"cannot listen on port {port}: {(e.strerror or '').lower()}. Name another with --port", err=True)
        raise typer.Exit(EXIT_UNAVAILABLE) from e
    typer.echo(f"NGSIv2 at {broker.url}: orion: {{url: '{broker.url}'}} in bridge.yaml. Ctrl-C ends it. Look:")
    typer.echo(f"  curl -s {broker.url}/v2/entities -H 'Fiware-ServicePath: /'")
    typer.echo(f"  curl -s {broker.url}/faults -d '{{\"mode\": \"503\"}}'   # or {', '.join(broker.modes)}; '' is well")
    _until_stopped()
    broker.stop()


def bulletins(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where it listens; 0: any free port.")] = 8089,
) -> None:
    """A feed of bulletins on this machine, in the agency's format; what it issues is invented. Faults on demand."""
    try:
        feed = simulators_module("bulletinfeed").BulletinFeed(port)
    except OSError as e:
        typer.echo(f"cannot listen on port {port}: {(e.strerror or '').lower()}. Name another with --port", err=True)
        raise typer.Exit(EXIT_UNAVAILABLE) from e
    stated = f"{{feed: '{feed.url}/extra.xml', offices: [{feed.office}], areas: {{高松市: everybody}}, every: 5s}}"
    typer.echo(f"Bulletins at {feed.url}: bulletins: {stated} in bridge.yaml. Ctrl-C ends it. Issue one, or break it:")
    typer.echo(f'  curl -s {feed.url}/issue -d \'{{"kinds": ["レベル３氾濫警報"], "areas": ["高松市"]}}\'')
    typer.echo(f"  curl -s {feed.url}/faults -d '{{\"mode\": \"503\"}}'   # or {', '.join(feed.modes)}; '' is well")
    _until_stopped()
    feed.stop()


def _until_stopped() -> None:
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    over.wait()

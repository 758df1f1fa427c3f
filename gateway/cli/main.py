"""`suimon`: one file for each noun. Only this folder reads the command line and the environment."""

from __future__ import annotations

import sys

import typer

from gateway import __version__
from gateway.cli.alert import alert_app
from gateway.cli.bridge import bridge_app
from gateway.cli.cap import cap_app
from gateway.cli.check import check
from gateway.cli.demo import demo
from gateway.cli.device import device_app
from gateway.cli.doctor import doctor
from gateway.cli.edge import edge_app
from gateway.cli.gaps import gaps
from gateway.cli.journal import journal_app
from gateway.cli.letters import letters_app
from gateway.cli.paper import paper
from gateway.cli.profile import profile_app
from gateway.cli.remote import remote_app
from gateway.cli.score import score
from gateway.cli.sim import sim_app
from gateway.cli.source import source_app
from gateway.cli.station import station_app
from gateway.cli.web import web_app

app = typer.Typer(
    name="suimon",
    help="Flood-sensor gateway: from a sensor's register to an alert, with every reading accounted for.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(check)
app.command()(demo)
app.command()(gaps)
app.command()(paper)
app.command()(score)
app.command()(doctor)
app.add_typer(edge_app, name="edge")
app.add_typer(bridge_app, name="bridge")
app.add_typer(alert_app, name="alert")
app.add_typer(letters_app, name="letters")
app.add_typer(journal_app, name="journal")
app.add_typer(cap_app, name="cap")
app.add_typer(sim_app, name="sim")
app.add_typer(device_app, name="device")
app.add_typer(station_app, name="station")
app.add_typer(profile_app, name="profile")
app.add_typer(source_app, name="source")
app.add_typer(remote_app, name="remote")
app.add_typer(web_app, name="web")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"suimon {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Flood-sensor gateway."""


def run() -> None:
    """The console script. What the terminal's encoding cannot read is told by its place: no file could hold it."""
    for n, word in enumerate(sys.argv[1:], 1):
        try:
            word.encode()
        except UnicodeEncodeError:
            shown = word.encode(errors="backslashreplace").decode()
            print(f"word {n}, '{shown}', is not text in {sys.getfilesystemencoding()}: type it again", file=sys.stderr)
            raise SystemExit(2) from None
    app()

"""`suimon profile`: sensor models. What they are is in `profilefile`; here they are printed."""

from __future__ import annotations

import typer

profile_app = typer.Typer(help="Sensor models: check, test, show, write them.", no_args_is_help=True)


@profile_app.callback()
def _profile() -> None:
    """Sensor models: check, test, show, write them."""


@profile_app.command("schema")
def schema() -> None:
    """Print the JSON Schema of a profile, for editors (draft 7)."""
    from gateway import editorschema

    typer.echo(editorschema.text(), nl=False)

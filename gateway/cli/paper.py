"""`suimon paper`: the city on one sheet, now, without the page and without a running bridge."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli import process
from gateway.errors import Unavailable


def paper(
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The file to write; else it is printed.")] = None,
    english: Annotated[bool, typer.Option("--english", help="In English.")] = False,
    folder: Path = process.ConfigOption,
) -> None:
    """All stations on one A4 sheet (HTML), legible in black and white, from the bridge's store as it stands now."""
    from gateway import papersheet, storefile
    from gateway.bridge import papers
    from gateway.cli import alertview
    from gateway.clock import SystemClock
    from gateway.settings import Paper
    from gateway.wholefile import FILES

    with process.told():
        place = alertview.place(folder)
        to = place.bridge.paper or Paper(folder)
        running = storefile.running(place.store)
        found = papers.sheet(place.store, place.registry, SystemClock().now_ms(), to.sender, running)
        text = papersheet.html(found, "en" if english else to.language)
        if out is None:
            typer.echo(text, nl=False)
            return
        try:
            FILES.write(out, text.encode(), papers.MODE)
        except OSError as e:
            raise Unavailable(f"cannot write {out}: {e.strerror}") from e
        typer.echo(str(out))

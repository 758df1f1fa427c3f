"""`suimon cap`: the CAP documents that were made, their text to be copied, and what a person releases."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import process, times
from gateway.errors import Unavailable

if TYPE_CHECKING:
    from gateway.cli.alertview import Place

cap_app = typer.Typer(help="CAP documents: what was made, and what a person releases.", no_args_is_help=True)


class Response(StrEnum):
    EVACUATE = "Evacuate"
    SHELTER = "Shelter"
    EXECUTE = "Execute"
    ALL_CLEAR = "AllClear"


NameArgument = Annotated[str, typer.Argument(help="The document's identifier; an episode or station for its newest.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print as JSON.")]
_COLUMNS = "identifier, sent_ms, expires_ms, tenant, station, episode, status, msg_type, scope, headline, ends"
_LIST = f"SELECT {_COLUMNS} FROM cap ORDER BY id DESC LIMIT ?"  # noqa: S608
_FIND = """SELECT document, message FROM cap WHERE identifier = ? OR episode = ? OR station = ?
ORDER BY identifier = ? DESC, id DESC LIMIT 1"""


@cap_app.callback()
def _cap() -> None:
    """CAP documents: what was made, and what a person releases."""


@cap_app.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, help="The newest.")] = 20,
    json_output: JsonOption = False,
    folder: Path = process.ConfigOption,
) -> None:
    """The newest documents, newest first."""
    from gateway import storefile
    from gateway.cli import alertview

    with process.told():
        rows = storefile.rows(alertview.place(folder).store, _LIST, (limit,))
    names = [x.strip() for x in _COLUMNS.split(",")]
    found: list[dict[str, Any]] = [dict(zip(names, row, strict=True)) for row in rows]
    sent = [x["sent_ms"] for x in found]
    for x in found:
        x |= {"sent": times.iso(x.pop("sent_ms")), "expires": times.iso(x.pop("expires_ms")), "ends": bool(x["ends"])}
    if json_output:
        typer.echo(json.dumps({"version": 1, "documents": found}, ensure_ascii=False))
        return
    for x, at in zip(found, sent, strict=True):
        typer.echo(
            f"{times.local(at)}  {x['status']} {x['msg_type']} {x['scope']}  {x['headline']}\n    {x['identifier']}"
        )
    if not found:
        typer.echo("no CAP documents")


def _document(place: Place, name: str) -> tuple[str, str]:
    """(the document, the message that it was made of). Raises Unavailable."""
    from gateway import storefile

    found = storefile.rows(place.store, _FIND, (name,) * 4)
    if not found:
        raise Unavailable(f"there is no CAP document of '{name}'. 'suimon cap list' shows those there are")
    return found[0][0], found[0][1]


@cap_app.command("show")
def show(name: NameArgument, folder: Path = process.ConfigOption) -> None:
    """The document, as it was sent."""
    from gateway.cli import alertview

    with process.told():
        typer.echo(_document(alertview.place(folder), name)[0], nl=False)


@cap_app.command("text")
def text(name: NameArgument, folder: Path = process.ConfigOption) -> None:
    """Its Japanese text, to be copied by a person into L-Alert. We are no sender to it."""
    import msgspec

    from gateway import cap
    from gateway.cli import alertview

    with process.told():
        message = msgspec.json.decode(_document(alertview.place(folder), name)[1], type=cap.Message)
        typer.echo(cap.plain(message))


@cap_app.command("release")
def release(
    episode: Annotated[str, typer.Argument(help="The episode, or its station.")],
    words: Annotated[str, typer.Argument(metavar="TEXT", help="What is to be done.")],
    response: Annotated[Response, typer.Option("--response", help="What the mayor ordered; AllClear ends it.")],
    order: Annotated[int, typer.Option("--order", help="The row of the journal that records the mayor's order.")],
    by: Annotated[str, typer.Option("--by", help="Who releases it: a person's name.")],
    tenant: Annotated[str | None, typer.Option("--tenant", help="Where two have a station of that name.")] = None,
    json_output: JsonOption = False,
    folder: Path = process.ConfigOption,
) -> None:
    """A message that asks people to leave, to shelter or to act. It cites the mayor's order, which was entered before
    with 'suimon journal add --kind order', and names who released it."""
    from gateway.bridge.recording import Release
    from gateway.cli import alertview, asking

    with process.told():
        place = alertview.place(folder)
        body = Release(episode=episode, response=response.value, order=order, text=words, by=by, tenant=tenant)
        answer = asking.ask(place.bridge, place.registry, "cap.release", body)
    said = f"released by {by}, on the order in row {order}: {answer['identifier']}"
    typer.echo(json.dumps({"version": 1, **answer}, ensure_ascii=False) if json_output else said)

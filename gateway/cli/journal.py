"""`suimon journal`: what was known, said and done; entries by hand; what the desk could see at a time; the export."""

from __future__ import annotations

import itertools
import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import journalview, process, times
from gateway.errors import Unavailable
from gateway.journal import Manual

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.cli.alertview import Place
    from gateway.journalfile import Choice
    from gateway.journalsheet import Sheet

journal_app = typer.Typer(help="The journal: what was known, said and done, and entries by hand.", no_args_is_help=True)

DAY_MS = 86_400_000


class Language(StrEnum):
    JA = "ja"
    EN = "en"


FromOption = Annotated[str | None, typer.Option("--from", help="Happened since: 2h, 2026-11-22, 2026-11-22T03:00.")]
ToOption = Annotated[str | None, typer.Option("--to", help="Happened before.")]
StationOption = Annotated[str, typer.Option("--station", "-s", help="Only of this station.")]
EpisodeOption = Annotated[str, typer.Option("--episode", help="Only of this episode.")]
TenantOption = Annotated[str | None, typer.Option("--tenant", help="Where two have a station of that name.")]
LanguageOption = Annotated[Language, typer.Option("--lang", help="Of the sentences.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print as JSON.")]
_KINDS = ", ".join(f"{x.value} {x.ja}" for x in Manual)


@journal_app.callback()
def _journal() -> None:
    """The journal: what was known, said and done, and entries by hand."""


@journal_app.command("add")
def add(
    text: Annotated[str, typer.Argument(help="What happened, in your words.")],
    kind: Annotated[Manual, typer.Option("--kind", help=f"What it is: {_KINDS}.")],
    by: Annotated[str, typer.Option("--by", help="Who saw or did it, where it is not who types.")] = "",
    at: Annotated[str | None, typer.Option("--at", help="When it happened; now by default.")] = None,
    station: Annotated[str, typer.Option("--station", "-s", help="Where.")] = "",
    episode: Annotated[str, typer.Option("--episode", help="In which episode.")] = "",
    corrects: Annotated[int | None, typer.Option("--corrects", help="The row that this corrects; it stays.")] = None,
    tenant: TenantOption = None,
    json_output: JsonOption = False,
    folder: Path = process.ConfigOption,
) -> None:
    """Enter a call, a patrol, what a camera shows, a closure, an order of the mayor, a bulletin that was received.

    An entry made later keeps both times. Nothing is edited: a correction is an entry that names the row it corrects.
    """
    from gateway.bridge.recording import Add
    from gateway.cli import alertview, asking
    from gateway.clock import SystemClock

    with process.told():
        place = alertview.place(folder)
        at_ms = times.parse(at, SystemClock().now_ms())
        body = Add(
            kind=kind, text=text, at_ms=at_ms, by=by, station=station, episode=episode, corrects=corrects, tenant=tenant
        )
        answer = asking.ask(place.bridge, place.registry, "journal.add", body)
    said = f"row {answer['number']}: {times.local(answer['at_ms'])} {kind.ja} {kind.en}, by {answer['by']}"
    typer.echo(json.dumps({"version": 1, **answer}, ensure_ascii=False) if json_output else said)


# --- reading -----------------------------------------------------------------------------------------------------


def _choice(
    place: Place, since: str | None, until: str | None, station: str, episode: str, tenant: str | None, known_ms: int
) -> Choice:
    """Which rows; the last day unless more is asked for. Raises typer.BadParameter."""
    from gateway.fields import did_you_mean
    from gateway.journalfile import Choice

    names = [s.id for s in place.registry.stations.values()]
    if station and station not in names:
        raise typer.BadParameter(f"no station '{station}' in stations.yaml{did_you_mean(station, names)}")
    from_ms, to_ms = times.parse(since, known_ms), times.parse(until, known_ms)
    if from_ms is None and not episode:
        from_ms = (to_ms or known_ms) - DAY_MS
    if from_ms is not None and to_ms is not None and from_ms >= to_ms:
        raise typer.BadParameter(f"--from {since} is not before --to {until}. Exchange them")
    return Choice(from_ms, to_ms, station, episode, known_ms, tenant or "")


@journal_app.command("show")
def show(
    since: FromOption = None,
    until: ToOption = None,
    station: StationOption = "",
    episode: EpisodeOption = "",
    as_known_at: Annotated[
        str | None, typer.Option("--as-known-at", help="Only what was recorded by then, and how the desk stood.")
    ] = None,
    tenant: TenantOption = None,
    lang: LanguageOption = Language.JA,
    json_output: JsonOption = False,
    folder: Path = process.ConfigOption,
) -> None:
    """Rows, in the order in which they were recorded. With --as-known-at TIME also what the desk could see then: ranks,
    the newest readings that had arrived and their age, what was held, silent or unconfirmed, and who had seen it."""
    from gateway import journalfile
    from gateway.cli import alertview
    from gateway.clock import SystemClock

    with process.told():
        place = alertview.place(folder)
        now = SystemClock().now_ms()
        asked = times.parse(as_known_at, now)
        known_ms = now if asked is None else asked
        choice = _choice(place, since, until, station, episode, tenant, known_ms)
        corrected = journalfile.corrections(place.store, known_ms)
        then = journalview.known(place.store, place.registry, known_ms, station) if asked is not None else None
        rows, levels = journalfile.rows(place.store, choice), place.registry.levels
        if json_output:
            listed = [journalview.described(x, levels, corrected) for x in rows]
            typer.echo(json.dumps({"version": 1, "known": then, "rows": listed}, ensure_ascii=False))
            return
        ja = lang is Language.JA
        for text in journalview.known_lines(then, ja) if then else []:
            typer.echo(text)
        typer.echo(f"times are local, {times.zone()}")
        count = 0
        for row in rows:
            typer.echo(journalview.line(row, place.registry, corrected, ja))
            count += 1
        typer.echo(f"{count} row{'s' * (count != 1)}")


@journal_app.command("verify")
def verify(
    contains: Annotated[str, typer.Option("--contains", help="A hash that must stand in it, from an export.")] = "",
    json_output: JsonOption = False,
    folder: Path = process.ConfigOption,
) -> None:
    """Whether every row still follows from the one before. Exit 1, and the first row that does not, otherwise."""
    from gateway import journalfile
    from gateway.cli import alertview
    from gateway.journal import Broken

    with process.told():
        path = alertview.place(folder).store
        found = journalfile.verify(path)
        anchored = not contains or any(x.hash.startswith(contains.lower()) for x in journalfile.rows(path))
    broken = found if isinstance(found, Broken) else None
    document: dict[str, Any] = {"version": 1, "whole": broken is None and anchored, "contains": anchored}
    if broken is not None:
        document |= {"row": broken.number, "why": broken.why}
        said = f"the journal is broken at row {broken.number}: {broken.why}"
    elif isinstance(found, tuple):
        document |= {"rows": found[1], "hash": found[0]}
        said = f"{found[1]} rows, whole; the last has the hash {found[0]}"
        if not anchored:
            said = f"{found[1]} rows that follow from each other, but none has the hash {contains}: another journal"
    typer.echo(json.dumps(document) if json_output else said)
    if not document["whole"]:
        raise typer.Exit(1)


# --- export ------------------------------------------------------------------------------------------------------


@journal_app.command("export")
def export(
    since: FromOption = None,
    until: ToOption = None,
    station: StationOption = "",
    episode: EpisodeOption = "",
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write to.")] = Path(),
    tenant: TenantOption = None,
    folder: Path = process.ConfigOption,
) -> None:
    """A4 pages (HTML, to be printed from a browser) and CSV for Excel: in Japanese, in the order in which things
    happened, with the hash by which it can be checked later."""
    from gateway import journalfile, journalsheet
    from gateway.cli import alertview
    from gateway.clock import SystemClock

    with process.told():
        place = alertview.place(folder)
        now = SystemClock().now_ms()
        choice = _choice(place, since, until, station, episode, tenant, now)
        sheet = _sheet(place, choice, now)
        stamp = "-".join(x for x in ("journal", station, _stamp(choice.from_ms), _stamp(choice.to_ms or now)) if x)
        for ending, write in ((".html", journalsheet.html), (".csv", journalsheet.table)):
            path = out / f"{stamp}{ending}"
            rows = journalfile.rows(place.store, choice, happened=True)
            _write(path, write(sheet, rows))
            typer.echo(str(path))


def _stamp(ms: int | None) -> str:
    return "" if ms is None else times.local(ms)[:16].translate({ord(" "): "T", ord(":"): None, ord("-"): None})


def _sheet(place: Place, choice: Choice, now_ms: int) -> Sheet:
    from gateway import journalfile, journalsheet, storefile
    from gateway.journal import Broken

    registry = place.registry
    names = {key: s.name_ja for key, s in registry.stations.items()}
    found = [s for s in registry.stations.values() if s.id == choice.station]
    whole = journalfile.verify(place.store)
    last = (whole[1], whole[0]) if isinstance(whole, tuple) else journalfile.last(place.store)
    chain = "連鎖を検証済み（最終行までの改変・欠落なし）"
    if isinstance(whole, Broken):
        chain = f"注意：記録番号{whole.number}で連鎖が途切れています。以後の記録は検証できません"
    until = journalsheet.at(choice.to_ms, day=True) if choice.to_ms is not None else "作成時"
    since = journalsheet.at(choice.from_ms, day=True) if choice.from_ms is not None else "最初"
    cap = place.bridge.cap
    return journalsheet.Sheet(
        sender=cap.sender_ja if cap else "水位監視",
        place="・".join(s.name_ja for s in found) or "全観測所",
        period=f"{since} から {until} まで",
        made=journalsheet.at(now_ms, day=True),
        store=storefile.rows(place.store, "SELECT value FROM meta WHERE key = 'store'")[0][0],
        last=last,
        chain=chain,
        names=names,
        levels=registry.levels,
        corrected=journalfile.corrections(place.store, now_ms),
    )


def _write(path: Path, parts: Iterable[str]) -> None:
    """A new file, never over another one. Raises Unavailable."""
    parts = iter(parts)
    first = next(parts, "")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8", newline="") as file:
            file.writelines(itertools.chain((first,), parts))
    except FileExistsError:
        raise Unavailable(f"{path} exists. Name another folder with --out") from None
    except OSError as e:
        raise Unavailable(f"cannot write {path}: {e.strerror}") from e

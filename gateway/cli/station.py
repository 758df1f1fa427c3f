"""`suimon station`: what is known of the stations; thresholds from a table of an authority, with the differences shown
before anything is written."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import process
from gateway.cli.letters import table
from gateway.errors import ConfigError, Problem, Unavailable

if TYPE_CHECKING:
    from gateway.stations import Registry, Station, Threshold
    from gateway.thresholdcsv import Difference, Read
    from gateway.yamlfile import Document

station_app = typer.Typer(no_args_is_help=True, help="The stations: their thresholds.")
thresholds_app = typer.Typer(no_args_is_help=True, help="Thresholds: list them, import them from a table.")
station_app.add_typer(thresholds_app, name="thresholds")

STATIONS = "stations.yaml"
WORDS = {"added": "new", "changed": "changed", "removed": "removed", "unchanged": "as it is"}


@dataclass(frozen=True, slots=True)
class Current:
    """stations.yaml as it stands, as text, document and registry."""

    path: Path
    text: str
    document: Document
    registry: Registry


@thresholds_app.command("list")
def list_(
    station: Annotated[str | None, typer.Option("--station", help="Only of this station.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
    folder: Path = process.ConfigOption,
) -> None:
    """Every threshold, with who set it and since when."""
    from gateway import config
    from gateway.fields import did_you_mean

    with process.told():
        registry = config.load_stations(folder)
    stations = [s for s in registry.stations.values() if station in (None, s.id)]
    if not stations:
        names = [s.id for s in registry.stations.values()]
        raise typer.BadParameter(f"no station '{station}' in {STATIONS}{did_you_mean(station, names)}")
    rows = [(s, c, t) for s in stations for c in s.channels.values() for t in c.thresholds]
    if json_output:
        found = [{"tenant": s.tenant, "station": s.id, "channel": c.name, **_described(t)} for s, c, t in rows]
        typer.echo(json.dumps({"version": 1, "levels": registry.levels.name, "thresholds": found}, ensure_ascii=False))
        return
    head = ("station", "channel", "level", "value", "authority", "basis", "source", "valid")
    lines = [
        (s.id, c.name, f"{t.rank} {registry.level(s, c, t.rank, t.level).ja}", f"{t.value:.2f} {c.unit}", t.authority,
         t.basis, t.source, _valid(t))
        for s, c, t in rows
    ]  # fmt: skip
    typer.echo(table([head, *lines], right=(3,)))


@thresholds_app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV: station,channel,level,value,unit,authority,basis,source,…")],
    replace_: Annotated[
        bool, typer.Option("--replace", help="Remove what the table does not name, of its channels.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the differences and write nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print the differences as JSON; asks nothing.")] = False,
    folder: Path = process.ConfigOption,
) -> None:
    """Take thresholds from a table. What differs is shown, and written only after you agreed; stations.yaml keeps its
    comments and order, and is kept beside it as it was.

    A running bridge takes them up when it is started again.
    """
    from gateway import thresholdcsv

    with process.told():
        now = _current(folder)
        found = thresholdcsv.read(_bytes(file), file.name, now.registry, _references(now))
        if found.problems:
            raise ConfigError(found.problems)
        differences = thresholdcsv.differences(found, now.registry, replace_)
        new = _checked(now, differences, folder)
    changes = [d for d in differences if d.kind != "unchanged"]
    writes = bool(changes) and not dry_run and (yes or not json_output)
    if not json_output:
        typer.echo("\n".join([*found.notes, *_lines(differences)]))
        if writes and not yes and not typer.confirm(f"Write {len(changes)} changes to {now.path}?"):
            raise typer.Exit(1)
    with process.told():
        backup = _write(now, new) if writes else None
    if json_output:
        typer.echo(json.dumps(_document(differences, found, backup), ensure_ascii=False))
    elif backup:
        typer.echo(f"written; as it was before: {backup}. 'suimon bridge reload' puts them into force")
    elif not changes:
        typer.echo("nothing differs")


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as e:
        raise Unavailable(f"{file} cannot be read ({(e.strerror or '').lower()})") from e


def _current(folder: Path) -> Current:
    from gateway import config, yamlfile

    registry = config.load_stations(folder)
    path = folder / STATIONS
    text = path.read_bytes().decode("utf-8-sig")
    return Current(path, text, yamlfile.parse(text.encode(), STATIONS), registry)


def _references(now: Current) -> dict[tuple[str, str, str], str]:
    """What the observations of each water level refer to."""
    out = {}
    for (tenant, name), station in now.registry.stations.items():
        for channel in station.channels.values():
            if channel.quantity == "water_level":
                stated = now.document.mapping(("stations", name, "channels", channel.name)).get("reference")
                out[(tenant, name, channel.name)] = str(stated or "gauge_height")
    return out


def _checked(now: Current, differences: list[Difference], folder: Path) -> str:
    """The new text, read again: it must say exactly what is wanted. Raises ConfigError, Unavailable."""
    from gateway import config, stationfile, thresholdedit, yamlfile

    try:
        new = thresholdedit.edited(now.text, now.document, differences)
    except thresholdedit.Unwritable as e:
        raise Unavailable(f"{STATIONS} is written in a form that is not edited here ({e}). Change it by hand") from e
    document = yamlfile.parse(new.encode(), STATIONS)
    profiles = config.load_profiles(folder, [])
    stations = stationfile.stations(document, now.registry.levels, profiles, folder) if document.readable else []
    problems = [Problem(f"{STATIONS} with the table", *_rest(p)) for p in document.problems]
    if problems:
        raise ConfigError(problems)
    wanted = _wanted(now.registry, differences)
    if {(s.tenant, s.id): _in_order(s) for s in stations} != {key: _in_order(s) for key, s in wanted.items()}:
        message = "could not be edited so that it says exactly this; nothing was written. Change it by hand"
        raise Unavailable(f"{STATIONS} {message}")
    return new


def _in_order(station: Station) -> Station:
    """With the thresholds of each channel in one order: two of a rank may stand either way."""
    channels = {
        name: replace(c, thresholds=tuple(sorted(c.thresholds, key=lambda t: (t.rank, t.level))))
        for name, c in station.channels.items()
    }
    return replace(station, channels=channels)


def _rest(p: Problem) -> tuple[int, int, str, str]:
    return p.line, p.col, p.path, p.message


def _wanted(registry: Registry, differences: list[Difference]) -> dict[tuple[str, str], Any]:
    """The stations as they are to be."""
    out = dict(registry.stations)
    for d in differences:
        tenant, name, channel_name = d.place
        station = out[(tenant, name)]
        channel = station.channels[channel_name]
        kept = [t for t in channel.thresholds if t.level != d.level]
        marks = tuple(sorted([*kept, *([d.new] if d.new else [])], key=lambda t: t.rank))
        channels = {**station.channels, channel_name: replace(channel, thresholds=marks)}
        out[(tenant, name)] = replace(station, channels=channels)
    return out


def _write(now: Current, new: str) -> Path:
    """The new text in the place of the old, which is kept beside it. Raises Unavailable."""
    from gateway.clock import SystemClock
    from gateway.thresholdcsv import day_of

    if now.path.read_bytes().decode("utf-8-sig") != now.text:
        raise Unavailable(f"{now.path} was changed meanwhile; nothing was written. Import again")
    day, number = day_of(SystemClock().now_ms()), 1
    while (backup := now.path.with_name(f"{STATIONS}.{day}.{number}.bak")).exists():
        number += 1
    fresh = now.path.with_name(f".{STATIONS}.new")
    try:
        backup.write_bytes(now.path.read_bytes())
        with fresh.open("wb") as out:
            out.write(new.encode())
            out.flush()
            os.fsync(out.fileno())
        fresh.chmod(now.path.stat().st_mode)
        fresh.replace(now.path)
    except OSError as e:
        raise Unavailable(f"{now.path} cannot be written ({(e.strerror or '').lower()}); it is as it was") from e
    return backup


# --- shown


def _lines(differences: list[Difference]) -> list[str]:
    head = ("", "station", "channel", "level", "now", "new", "by", "")
    rows = [
        (WORDS[d.kind], d.place[1], d.place[2], d.level, _value(d.old), _value(d.new), _by(d), _also(d))
        for d in differences
        if d.kind != "unchanged"
    ]
    same = sum(d.kind == "unchanged" for d in differences)
    return [*([table([head, *rows], right=(4, 5, 6))] if rows else []), f"{len(rows)} differ, {same} as they are"]


def _value(t: Threshold | None) -> str:
    return "-" if t is None else f"{t.value:.2f}"


def _by(d: Difference) -> str:
    return "" if not d.by else f"{d.by:+.2f}"


def _also(d: Difference) -> str:
    """What differs beside the value."""
    if d.old is None or d.new is None:
        return (d.new or d.old).source if d.new or d.old else ""  # type: ignore[union-attr]
    words = [
        f"{old or '-'} → {new or '-'}"
        for old, new in (
            (d.old.authority, d.new.authority),
            (d.old.basis, d.new.basis),
            (d.old.source, d.new.source),
            (_valid(d.old), _valid(d.new)),
        )
        if old != new
    ]
    return "; ".join(words)


def _valid(t: Threshold) -> str:
    from gateway.thresholdcsv import day_of

    begin, end = day_of(t.valid_from_ms), day_of(t.valid_to_ms)
    return f"{begin} to {end}".strip() if begin or end else ""


def _described(t: Threshold | None) -> dict[str, Any]:
    from gateway.thresholdcsv import day_of

    if t is None:
        return {}
    rest = {k: v for k, v in asdict(t).items() if k not in ("valid_from_ms", "valid_to_ms")}
    return {**rest, "valid_from": day_of(t.valid_from_ms) or None, "valid_to": day_of(t.valid_to_ms) or None}


def _document(differences: list[Difference], found: Read, backup: Path | None) -> dict[str, Any]:
    rows = [
        {"kind": d.kind, "tenant": d.place[0], "station": d.place[1], "channel": d.place[2], "level": d.level,
         "by": d.by, "old": _described(d.old) or None, "new": _described(d.new) or None}
        for d in differences
    ]  # fmt: skip
    return {"version": 1, "differences": rows, "notes": found.notes, "written": backup is not None,
            "backup": None if backup is None else str(backup)}  # fmt: skip

"""`suimon score`: how well would the alarm have done on a recording?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from gateway.cli import process
from gateway.errors import FaultCode

if TYPE_CHECKING:
    from gateway.scoring.judging import Finding, Score
    from gateway.stations import Channel, Registry, Station

TABLE = "jp-2026"


def score(
    recording: Annotated[Path, typer.Option("--recording", "-r", exists=True, help="A recording of a water level.")],
    thresholds: Annotated[str, typer.Option(help="As 'caution=2.0,danger=3.9', metres.")] = "",
    faults: Annotated[str, typer.Option(help="What goes wrong at the gauge, as 'spikes,dropouts*3', or 'all'.")] = "",
    seed: Annotated[int, typer.Option(help="Of the faults.")] = 1,
    site: Annotated[str | None, typer.Option(help="Only this site of a recording with several.")] = None,
    station: Annotated[str | None, typer.Option(help="Judge as this station of the configuration is.")] = None,
    folder: Annotated[Path, typer.Option("--config", "-c", help="The folder with the YAML files.")] = Path(),
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Play a recording through the alarm, in virtual time, and count what it would have missed or cried falsely.

    Reads exports of the Environment Agency, WaterML-JSON of the USGS, hourly files of Japan's ministry, national lists
    of crisis gauges (file, lines or folder) and plain 'time,value'.
    """
    with process.told():
        try:
            found, findings = _score(recording, thresholds, faults, seed, site, station, folder)
        except (ValueError, OSError) as e:
            _refuse(str(e))
    document = {key: list(x) if isinstance(x, tuple) else x for key, x in asdict(found).items()}
    if json_output:
        typer.echo(json.dumps(document))
        return
    for key, value in document.items():
        typer.echo(f"{key:24} {'-' if value is None else value}")
    for line in findings:
        typer.echo(line)


def _score(
    path: Path, thresholds: str, faults: str, seed: int, site: str | None, station: str | None, folder: Path
) -> tuple[Score, list[str]]:
    from gateway import config
    from gateway.scoring import lists
    from gateway.scoring import site as sites

    recordings, gauge = process.simulators_module("recordings"), process.simulators_module("faults.gauge")
    table = config.load_levels(TABLE)
    marks = _thresholds(thresholds, table)
    names = _faults(faults, gauge.CATALOGUE)
    if recordings.are_snapshots(path):
        if marks or names or station:
            raise ValueError("lists of gauges bring their own thresholds; leave out --thresholds, --faults, --station")
        entries = [
            lists.Entry(s.shown_ms, i.code, i.name, i.at_ms, i.value, i.warn, i.overflow)
            for s in recordings.read_snapshots(path)
            for i in s.items
        ]
        if not entries:
            raise ValueError(f"{path.name}: no gauge has a value")
        return lists.score(entries, table), []
    chosen = [recordings.read(path, site)] if site or station else recordings.read_all(path)
    total, findings = None, list[str]()
    for r in chosen:
        series = [(row.at_ms, row.value) for row in r.rows]
        name = r.site or "recording"
        known = _configured(folder, station) if station else sites.alone(series, name, r.title, marks, table)
        if station and marks:
            known = _with(known, marks)
        part, wrong = _one(series, known, names, seed, gauge)
        total = part if total is None else total + part
        findings += [_told(finding, r.title) for finding in wrong]
    assert total is not None
    return total, findings


def _one(
    series: Sequence[tuple[int, float]],
    known: tuple[Registry, Station, Channel],
    faults: Sequence[str],
    seed: int,
    gauge: Any,
) -> tuple[Score, list[Finding]]:
    from gateway.scoring import judging, playing

    registry, station, channel = known
    low, high = min(v for _, v in series), max(v for _, v in series)
    overflow = max((t.value for t in channel.thresholds), default=high)
    room = max(5.0, high - low)
    span = channel.limits.sensor or (low - 1.0, max(high, overflow) + room)
    reads, _ = gauge.inject(gauge.reads_of(series), gauge.Gauge(*span, overflow), faults, seed)
    player = playing.Player(registry, series[0][0])
    for now_ms, arrived in _steps(reads, series, round(channel.contract.interval_s * 1000)):
        player.step(
            now_ms,
            [
                playing.Read(station, channel, seq, r.at_ms, r.value, FaultCode(r.fault) if r.fault else None)
                for seq, r in arrived
            ],
        )
    return judging.judge(series, channel, player.tracks[(station.tenant, station.id, channel.name)])


def _steps(
    reads: Sequence[Any], series: Sequence[tuple[int, float]], step_ms: int
) -> Iterator[tuple[int, list[tuple[int, Any]]]]:
    """Each time at which something arrives, with it; and each step in between, for time passes in silence too."""
    from gateway.scoring.playing import LOOKS_MS

    arriving: dict[int, list[tuple[int, Any]]] = {}
    for seq, r in enumerate(reads, 1):
        arriving.setdefault(r.arrives_ms, []).append((seq, r))
    times = sorted({*arriving, *(at_ms for at_ms, _ in series)})
    last = times[0]
    for now_ms in times:
        for between in range(last + step_ms, now_ms, step_ms):
            yield between, []
            yield between + LOOKS_MS, []
        yield now_ms, arriving.get(now_ms, [])
        if now_ms not in arriving:
            yield now_ms + LOOKS_MS, []
        last = now_ms


def _configured(folder: Path, name: str) -> tuple[Registry, Station, Channel]:
    """A registry of that station alone."""
    from gateway import config, fields
    from gateway.stations import Registry

    _, registry = config.load_bridge(folder)
    found = [s for s in registry.stations.values() if name in (s.id, f"{s.tenant}/{s.id}")]
    if len(found) != 1 or found[0].main_channel is None:
        known = [s.id for s in registry.stations.values()]
        raise ValueError(f"--station {name}: no such station with a water level{fields.instead(name, known)}")
    return Registry(found, registry.levels), found[0], found[0].main_channel


def _with(known: tuple[Registry, Station, Channel], marks: tuple[Any, ...]) -> tuple[Registry, Station, Channel]:
    """The same station with other thresholds."""
    from dataclasses import replace

    from gateway.stations import Registry

    registry, station, channel = known
    channel = replace(channel, thresholds=marks)
    station = replace(station, channels={**station.channels, channel.name: channel})
    return Registry([station], registry.levels), station, channel


def _thresholds(text: str, table: Any) -> tuple[Any, ...]:
    from gateway import fields
    from gateway.scoring import site

    values: dict[str, float] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        key, _, value = (x.strip() for x in part.partition("="))
        try:
            values[key] = float(value.removesuffix("m"))
        except ValueError:
            raise ValueError(f"--thresholds: {part!r}; write 'caution=2.0,danger=3.9', in metres") from None
    try:
        return site.thresholds(values, table)
    except KeyError as e:
        keys = [level.key for level in table.levels if level.rank]
        raise ValueError(f"--thresholds: unknown level '{e.args[0]}'{fields.instead(e.args[0], keys)}") from None


def _faults(text: str, catalogue: dict[str, Any]) -> list[str]:
    from gateway import fields

    names: list[str] = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        name, _, count = part.partition("*")
        if name == "all" and not count:
            names += catalogue
        elif name not in catalogue:
            raise ValueError(f"--faults: unknown fault '{name}'{fields.instead(name, [*catalogue, 'all'])}")
        elif count and not (count.isdigit() and 1 <= int(count) <= 1000):
            raise ValueError(f"--faults: {part!r}; write a number from 1 to 1000 after the star")
        else:
            names += [name] * int(count or 1)
    return names


def _told(f: Finding, title: str) -> str:
    from datetime import UTC, datetime

    since, until = (f"{datetime.fromtimestamp(x / 1000, UTC):%Y-%m-%d %H:%M}" for x in (f.since_ms, f.until_ms))
    when = since if since == until else f"{since} to {until}"
    return f"{title}: {f.what.replace('_', ' ')}: {f.level} (rank {f.rank}), {when} UTC"


def _refuse(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(process.EXIT_CONFIG)

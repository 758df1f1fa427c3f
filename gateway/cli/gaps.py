"""`suimon gaps`: what is missing, since when, and why."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import process, times
from gateway.cli.letters import table
from gateway.errors import Unavailable

if TYPE_CHECKING:
    from gateway.gapfile import Ledger
    from gateway.gaps import Gap
    from gateway.stations import Registry

DATED = 2000  # gaps whose times are looked up, the newest: a bound for a spool in ruins


def gaps(
    station: Annotated[str | None, typer.Option("--station", help="Only of the device of this station.")] = None,
    device: Annotated[str | None, typer.Option("--device", help="Only of this device.")] = None,
    since: Annotated[str | None, typer.Option("--since", help="Not over before: 2h, 2026-11-22T03:00.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Exit 1 where anything is missing.")] = False,
    folder: Path = process.ConfigOption,
    sim_clock: Path | None = process.ClockOption,
) -> None:
    """What is missing, since when, and why: held by the device, gone, rejected, or not heard of at all.

    Times are those of the readings on both sides of a gap. Gaps close by themselves as backlog arrives.
    """
    from gateway import config, gapfile
    from gateway.gaps import concerns

    with process.told():
        bridge, registry = config.load_bridge(folder)
        now = process.clock_of(sim_clock, bridge.simulation, "bridge.yaml").now_ms()
        _known(registry, station, device)
        since_ms = times.parse(since, now)
        if not bridge.store.exists():
            raise Unavailable(f"there is no store {bridge.store} yet: the bridge makes it when it first runs")
        ledger = gapfile.read(bridge.store, registry)
        ledger.logs = [x for x in ledger.logs if _asked(registry, x.whose, station, device)]
        found = [g for g in _found(bridge.store, ledger, registry, now) if concerns(g, station, device, since_ms)]
    found.sort(key=lambda g: (g.since_ms is not None, g.since_ms or 0, g.tenant, g.device, g.first or 0))
    if json_output:
        typer.echo(json.dumps(_document(found, ledger, registry, now), ensure_ascii=False))
    else:
        typer.echo("\n".join(_lines(found, ledger)))
    if check and found:
        raise typer.Exit(1)


def _known(registry: Registry, station: str | None, device: str | None) -> None:
    """A mistyped name must not look like a house without gaps. Raises typer.BadParameter."""
    from gateway.fields import did_you_mean

    stations = [s.id for s in registry.stations.values()]
    devices = [name for _, name in registry.devices]
    for what, name, names in (("station", station, stations), ("device", device, devices)):
        if name is not None and name not in names:
            raise typer.BadParameter(f"no {what} '{name}' in stations.yaml{did_you_mean(name, names)}")


def _asked(registry: Registry, whose: tuple[str, str], station: str | None, device: str | None) -> bool:
    from gateway.gaps import stations_of

    return (station is None or station in stations_of(registry, whose)) and (device is None or device == whose[1])


def _found(path: Path, ledger: Ledger, registry: Registry, now_ms: int) -> list[Gap]:
    from gateway import gapfile, storefile
    from gateway.gaps import Said, dated, of_log, silent

    numbered = [(g, row) for row in ledger.logs for g in of_log(row, registry, ledger.said.get(row.whose, Said()))]
    with contextlib.closing(storefile.connect(path)) as db:
        look = gapfile.Times(db)
        out = [g for g, _ in numbered[:-DATED]]
        for gap, row in numbered[-DATED:]:
            channels = ledger.channels.get(row.whose, [])
            out.append(dated(gap, row, lambda log_id, seq, c=channels: look.of(log_id, seq, c)))  # type: ignore[misc]
    return [*out, *ledger.thinned, *silent(registry, ledger.newest, now_ms)]


# --- for people --------------------------------------------------------------------------------------------------


def _lines(found: list[Gap], ledger: Ledger) -> list[str]:
    from gateway.gaps import account, by_kind

    devices = {row.whose for row in ledger.logs}
    total = account(ledger.logs)
    newest = max((at for whose, at in ledger.newest.items() if whose in devices), default=None)
    of = f"{total.stored:,} samples of {len(devices)} device{'s' * (len(devices) != 1)} stored"
    aside = [f"not accounted, for they send no numbers: {', '.join(d for _, d in ledger.unaccounted)}"]
    if not found:
        return [f"no gaps: {of}, newest {times.local(newest)} {times.zone()}", *(aside if ledger.unaccounted else [])]
    head = ("device", "stations", "samples", "reading before", "reading after", "why")
    rows = [
        (f"{g.tenant}/{g.device}", ",".join(g.stations) or "-", f"{g.samples:,}" if g.samples else "?",
         times.local(g.since_ms), times.local(g.until_ms), g.sentence)
        for g in found
    ]  # fmt: skip
    counts = ", ".join(f"{n:,} {kind}" for kind, n in by_kind(found).items())
    lines = [f"times are local, {times.zone()}", table([head, *rows], right=(2,))]
    lines.append(f"{len(found)} gap{'s' * (len(found) != 1)}: {counts}; {of}, newest {times.local(newest)}")
    return [*lines, *(aside if ledger.unaccounted else [])]


# --- for scripts -------------------------------------------------------------------------------------------------


def _document(found: list[Gap], ledger: Ledger, registry: Registry, now_ms: int) -> dict[str, Any]:
    from gateway.gaps import account, by_kind

    return {
        "version": 1,
        "store": ledger.store,
        "at": times.iso(now_ms),
        "gaps": [_described(g, ledger) for g in found],
        "totals": {
            "gaps": len(found),
            "missing": by_kind(found),
            "samples": asdict(account(ledger.logs)),
            "devices": len({row.whose for row in ledger.logs}),
            "not_accounted": [f"{t}/{d}" for t, d in ledger.unaccounted],
        },
    }


def _described(gap: Gap, ledger: Ledger) -> dict[str, Any]:
    document: dict[str, Any] = {
        "tenant": gap.tenant, "device": gap.device, "stations": list(gap.stations), "log": gap.log,
        "from": gap.first, "to": gap.last, "samples": gap.samples, "since": times.iso(gap.since_ms),
        "until": times.iso(gap.until_ms), "kind": gap.kind, "reason": gap.reason, "sentence": gap.sentence,
    }  # fmt: skip
    said = ledger.said.get((gap.tenant, gap.device))
    if gap.kind == "held" and said:
        document |= {"used": said.used, "hours": said.hours, "stated": times.iso(said.statement_ms)}
    return document

"""`suimon bridge status`: how the bridge stands, read from its store beside it."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import process, times
from gateway.errors import NoticeCode, Unavailable

if TYPE_CHECKING:
    from gateway import settings
    from gateway.stations import Registry

_LAST = "SELECT received_ms FROM observations ORDER BY id DESC LIMIT 1"
_STATES = "SELECT tenant, device, status FROM devices"
_BEHIND = """SELECT coalesce((SELECT max(id) FROM observations), 0)
 - coalesce((SELECT position FROM cursors WHERE name = 'influx'), 0)"""
_NOTICES = "SELECT code, tenant, device, detail, since_ms FROM notices WHERE ended_ms IS NULL ORDER BY since_ms, id"
# With max(attempts), SQLite takes the other columns from the row that was tried most.
_OWED = """SELECT recipient, medium, count(*), min(owed_ms), max(attempts), reason, next_ms FROM outbox
 WHERE state = 'owed' GROUP BY recipient ORDER BY recipient"""
_AGAIN = "SELECT coalesce(sum(again), 0) FROM outbox"
_ASKED = "SELECT count(*) FROM requests WHERE state = 'asked'"


def status(
    json_output: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
    folder: Path = process.ConfigOption,
) -> None:
    """How the bridge stands: its store, the devices, what is behind, what staff are told of."""
    from gateway import config

    with process.told():
        bridge, registry = config.load_bridge(folder)
        if not bridge.store.exists():
            raise Unavailable(f"there is no store {bridge.store} yet: the bridge makes it when it first runs")
        document = _document(bridge, registry)
    typer.echo(json.dumps(document, ensure_ascii=False) if json_output else "\n".join(_lines(document)))


def _document(bridge: settings.Bridge, registry: Registry) -> dict[str, Any]:
    from gateway import gapfile, storefile
    from gateway.gaps import account

    ledger = gapfile.read(bridge.store, registry)
    with contextlib.closing(storefile.connect(bridge.store)) as db:
        try:
            last = db.execute(_LAST).fetchone()
            states = {(t, d): _state(text) for t, d, text in db.execute(_STATES)}
            letters = dict(db.execute(storefile.LETTERS).fetchall())
            behind = db.execute(_BEHIND).fetchone()[0]
            notices = db.execute(_NOTICES).fetchall()
            owed = db.execute(_OWED).fetchall()
            again, asked = (db.execute(sql).fetchone()[0] for sql in (_AGAIN, _ASKED))
        except sqlite3.OperationalError as e:
            raise Unavailable(f"cannot read the store {bridge.store}: {e}") from e
    devices = {"online": [], "offline": [], "unknown": []}  # type: dict[str, list[str]]
    for device in sorted(registry.devices):
        devices[states.get(device, "unknown")].append("/".join(device))
    return {
        "version": 1,
        "running": storefile.running(bridge.store),
        "store": {"id": ledger.store, "path": str(bridge.store), "bytes": _size(bridge.store)},
        "last_commit": times.iso(last[0]) if last else None,
        "configuration": _configuration(bridge, registry),
        "devices": devices,
        "samples": asdict(account(ledger.logs)),
        "letters": letters,
        "influx_behind": int(behind) if bridge.influx else None,
        "orion": _orion(bridge),
        "bulletins": _bulletins(bridge),
        "notices": [
            {"code": code, "device": f"{t}/{d}" if d else "", "detail": detail, "since": times.iso(at)}
            for code, t, d, detail, at in notices
        ],
        "owed": [
            {
                "recipient": name,
                "medium": medium,
                "count": n,
                "oldest": times.iso(at),
                "attempts": tried,
                "reason": reason,
                "next": times.iso(next_ms),
            }
            for name, medium, n, at, tried, reason, next_ms in owed
        ],
        "delivered_again": again,
        "requests": asked,
    }


def _configuration(bridge: settings.Bridge, registry: Registry) -> dict[str, Any] | None:
    """Since when the stations and levels are in force by which the bridge judges, and whether the files say others."""
    from gateway import storefile

    by = storefile.judged_by(bridge.store)
    return {"in_force": times.iso(by[1]), "edited": by[0] != registry.digest()} if by is not None else None


def _orion(bridge: settings.Bridge) -> dict[str, Any] | None:
    """As the bridge noted it last; None where it pushes to no context broker."""
    from gateway import orionstanding

    if bridge.orion is None:
        return None
    x = orionstanding.read(bridge.store) or orionstanding.Standing()
    return {
        "waiting": x.waiting,
        "since": times.iso(x.since_ms),
        "reason": x.reason,
        "answered": times.iso(x.answer_ms),
        "refused": {str(status): n for status, n in x.refused},
        "refuses": dict(x.refuses),
    }


def _bulletins(bridge: settings.Bridge) -> dict[str, Any] | None:
    """As the bridge noted it last; None where it reads no feed of bulletins."""
    from gateway import bulletinstanding

    if bridge.bulletins is None:
        return None
    x = bulletinstanding.read(bridge.store) or bulletinstanding.Standing()
    return {
        "heard": times.iso(x.heard_ms),
        "since": times.iso(x.since_ms),
        "reason": x.reason,
        "updated": times.iso(x.updated_ms),
        "fates": x.fates,
    }


def _state(text: str | None) -> str:
    """What a device last said of itself, or the broker for it; as it came, so it may be anything."""
    try:
        said = json.loads(text or "null")
    except ValueError:
        said = None
    state = said.get("state") if isinstance(said, dict) else None
    return state if state in ("online", "offline") else "unknown"


def _size(path: Path) -> int:
    """Of the file with its write-ahead log."""
    parts = (path, path.with_name(path.name + "-wal"))
    return sum(part.stat().st_size for part in parts if part.exists())


def _orion_lines(x: dict[str, Any]) -> list[str]:
    waits = f"{x['waiting']:,} stations wait" if x["waiting"] != 1 else "1 station waits"
    why = f" since {x['since']} ({x['reason']})" if x["reason"] else ""
    refused = ", ".join(f"{n:,} by {status}" for status, n in x["refused"].items())
    told = f"; refused since the start: {refused}" if refused else ""
    return [
        f"orion    {waits}{why}; last answer {x['answered'] or 'never'}{told}",
        *(f"         refused as it is now: {name} ({reason})" for name, reason in x["refuses"].items()),
    ]


def _bulletin_line(x: dict[str, Any]) -> str:
    told = ", ".join(f"{n:,} {fate}" for fate, n in x["fates"].items() if n) or "none came"
    why = f"not received since {x['since']} ({x['reason']}); " if x["reason"] else ""
    return f"bulletin {why}last heard {x['heard'] or 'never'}; since the start: {told}"


def _owed(rows: list[dict[str, Any]]) -> list[str]:
    """A small table: to whom how much waits, since when, how often it was tried, why it was not taken, when next."""
    if not rows:
        return []
    table = [("owed to", "medium", "waits", "since", "tried", "again at", "why")]
    for o in rows:
        why = o["reason"] or ("not tried yet" if not o["attempts"] else "")
        table.append(
            (o["recipient"], o["medium"], f"{o['count']:,}", o["oldest"], str(o["attempts"]), o["next"] or "-", why)
        )
    widths = [max(len(row[i]) for row in table) for i in range(6)]
    return ["  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[6]]) for row in table]


def _lines(x: dict[str, Any]) -> list[str]:
    runs = {True: "running", False: "not running", None: "running or not: this system does not say"}[x["running"]]
    store, devices, samples = x["store"], x["devices"], x["samples"]
    lines = [
        f"bridge   {runs}; last commit {x['last_commit'] or 'never'}",
        f"store    {store['path']} ({store['id']}), {store['bytes'] / 1e6:,.1f} MB",
        f"devices  {', '.join(f'{len(names)} {state}' for state, names in devices.items() if names) or 'none'}",
        *(f"         offline: {name}" for name in devices["offline"]),
        f"samples  {', '.join(f'{n:,} {what}' for what, n in samples.items() if n) or 'none'}",
        f"letters  {', '.join(f'{n:,} {code}' for code, n in x['letters'].items()) or 'none'}",
    ]
    if x["configuration"] is not None and x["running"] is not False:
        edited = "; stations.yaml says others, 'suimon bridge reload' puts them in force"
        said = x["configuration"]
        lines.append(f"judges   by the stations of {said['in_force']}{edited if said['edited'] else ''}")
    if x["influx_behind"] is not None:
        lines.append(f"influx   {x['influx_behind']:,} rows behind")
    if x["orion"] is not None:
        lines += _orion_lines(x["orion"])
    if x["bulletins"] is not None:
        lines.append(_bulletin_line(x["bulletins"]))
    for n in x["notices"]:
        known = n["code"] in NoticeCode._value2member_map_
        sentence = NoticeCode(n["code"]).sentence if known else n["code"]
        about = f"{n['device']}: " if n["device"] else ""
        detail = f" ({n['detail']})" if n["detail"] else ""
        lines.append(f"notice   {about}{sentence}{detail}, since {n['since']}")
    lines += _owed(x["owed"])
    if x["delivered_again"]:
        lines.append(f"twice    {x['delivered_again']:,} notifications were handed over again, after a kill")
    return lines if not x["requests"] else [*lines, f"requests {x['requests']} not answered yet"]

"""What `suimon journal` shows: rows, and how the desk stood at a time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.cli import times

if TYPE_CHECKING:
    from gateway.journal import Row
    from gateway.journalfile import Measured
    from gateway.knownat import ChannelThen, StationThen
    from gateway.stations import Channel, LevelTable, Registry, Station

LATE_MS = 60_000
_WORDS = {
    "normal": ("平常", "normal"),
    "exceeded": ("{level}超過", "above {level}"),
    "held": ("{level}超過のまま観測不能", "lost while above {level}"),
    "silent": ("未着", "silent"),
    "faulty": ("故障", "faulty"),
    "late": ("遅延", "late"),
    "unknown": ("不明", "unknown"),
    "maintenance": ("点検中", "maintenance"),
}

_CONTACT = {
    "normal": ("浸水の検知なし", "dry"),
    "exceeded": ("浸水を検知（{level}）", "wet ({level})"),
    "held": ("浸水を検知したまま観測不能（{level}）", "lost while wet ({level})"),
}


# --- rows --------------------------------------------------------------------------------------------------------


def described(row: Row, levels: LevelTable, corrected: dict[int, int]) -> dict[str, Any]:
    from gateway import journalwords

    return {
        "number": row.number, "at": times.iso(row.at_ms), "recorded": times.iso(row.recorded_ms), "kind": row.kind,
        "tenant": row.tenant, "station": row.station, "episode": row.episode, "by": row.by, "facts": row.facts,
        "text": {"ja": journalwords.sentence(row, levels), "en": journalwords.sentence(row, levels, ja=False)},
        "corrected_by": corrected.get(row.number), "hash": row.hash,
    }  # fmt: skip


def line(row: Row, registry: Registry, corrected: dict[int, int], ja: bool) -> str:
    """One row for a terminal: when it was recorded too, where that was later."""
    from gateway import journalwords

    station = registry.station(row.tenant, row.station)
    name = row.station if station is None else station.name_ja if ja else station.name_en
    late = row.recorded_ms - row.at_ms > LATE_MS
    when = times.local(row.at_ms) + (f" (recorded {times.local(row.recorded_ms)})" if late else "")
    text = " / ".join(journalwords.sentence(row, registry.levels, ja).splitlines())
    by = corrected.get(row.number)
    return f"{row.number:>6}  {when}  {name or '-'}  {journalwords.kind(row, ja)}  {text}" + (
        f"  [corrected by {by}]" if by else ""
    )


# --- how the desk stood --------------------------------------------------------------------------------------------


def known(path: Path, registry: Registry, known_ms: int, only: str = "") -> dict[str, Any]:
    """Each station as it was known then, and the desk's own: common causes."""
    from gateway import journalfile, knownat

    tenants = sorted({tenant for tenant, _ in registry.stations})
    desk = {t: knownat.fold(journalfile.of_station(path, t, "", known_ms), known_ms).get((t, "")) for t in tenants}
    causes = [e for then in desk.values() if then for e in then.episodes.values()]
    stations = []
    for (tenant, name), station in sorted(registry.stations.items()):
        if only in ("", name):
            rows = journalfile.of_station(path, tenant, name, known_ms)
            then = knownat.fold(rows, known_ms).get((tenant, name), knownat.StationThen())
            silent = any(name in e.stations for e in causes)
            stations.append(_station(path, station, then, known_ms, silent, registry.levels))
    listed = [
        {"episode": e.id, "since": times.iso(e.since_ms), "stations": list(e.stations),
         "acknowledged_by": e.acknowledged_by or None, "acknowledged": times.iso(e.acknowledged_ms)}
        for e in causes
    ]  # fmt: skip
    return {"at": times.iso(known_ms), "stations": stations, "causes": listed}


def _station(
    path: Path, station: Station, then: StationThen, known_ms: int, silent: bool, levels: LevelTable
) -> dict[str, Any]:
    channels = [_channel(path, station, c, then, known_ms, silent, levels) for c in station.watched]
    return {
        "tenant": station.tenant,
        "station": station.id,
        "name": {"ja": station.name_ja, "en": station.name_en},
        "rank": max((c["rank"] for c in channels), default=0),
        "channels": channels,
        "episodes": [
            {"episode": e.id, "since": times.iso(e.since_ms), "drill": e.drill, "highest": e.max_rank,
             "acknowledged_by": e.acknowledged_by or None, "acknowledged": times.iso(e.acknowledged_ms),
             "judged": e.judged or None, "judged_by": e.judged_by or None}
            for e in then.episodes.values()
        ],
        "suspended": {kind: {"until": times.iso(until), "by": by} for kind, (until, by) in then.suspended.items()},
        "thresholds": then.thresholds.get("channels", {}),
    }  # fmt: skip


def _channel(
    path: Path,
    station: Station,
    channel: Channel,
    then: StationThen,
    known_ms: int,
    silent: bool,
    levels: LevelTable,
) -> dict[str, Any]:
    from gateway import journalfile, knownat
    from gateway.stations import level_at

    c = then.channels.get(channel.name, knownat.ChannelThen())
    newest = journalfile.newest(path, (station.tenant, station.id, channel.name), known_ms)
    rank = _after_close(c, newest, then, channel.name)
    state = _state(c, newest, channel, known_ms, "maintenance" in then.suspended, silent, rank)
    shown = level_at(levels, station, channel, max(rank, c.unconfirmed) if state == "exceeded" else rank)
    words = _CONTACT.get(state, _WORDS[state]) if channel.contact else _WORDS[state]
    return {
        "channel": channel.name,
        "state": state,
        "rank": rank,
        "unconfirmed": c.unconfirmed if c.unconfirmed > rank else 0,
        "level": {"key": shown.key, "ja": shown.ja, "en": shown.en},
        "text": {"ja": words[0].format(level=shown.ja), "en": words[1].format(level=shown.en)},
        "value": newest.value if newest else None,
        "unit": channel.unit,
        "fault": newest.fault if newest else None,
        "flag": newest.flag if newest else None,
        "measured": times.iso(newest.observed_ms) if newest else None,
        "received": times.iso(newest.received_ms) if newest else None,
        "age_s": round((known_ms - newest.observed_ms) / 1000) if newest else None,
        "since": times.iso(c.since_ms),
    }  # fmt: skip


def _after_close(c: ChannelThen, newest: Measured | None, then: StationThen, channel: str) -> int:
    """After a person ended the event only what the data showed stood."""
    if not c.closed:
        return c.rank
    marks = then.thresholds.get("channels", {}).get(channel, {}).get("thresholds", [])
    value = newest.value if newest else None
    shown = max((x["rank"] for x in marks if value is not None and value >= x["value"]), default=0)
    return min(c.rank, shown)


def _state(
    c: ChannelThen,
    newest: Measured | None,
    channel: Channel,
    known_ms: int,
    maintained: bool,
    silent: bool,
    rank: int,
) -> str:
    """One word for how it stood; never normal where nothing fresh had come."""
    if maintained:
        return "maintenance"
    if c.held:
        return "held"
    if c.lost or silent:
        return c.lost if c.lost in ("silent", "faulty") else "silent"
    if newest is None:
        return "unknown"
    if known_ms - newest.observed_ms > channel.contract.fresh_for_s(newest.value) * 1000:
        return "late"
    if newest.value is None:
        return "faulty"
    return "exceeded" if max(rank, c.unconfirmed) else "normal"


def known_lines(document: dict[str, Any], ja: bool) -> list[str]:
    lang = "ja" if ja else "en"
    lines = [f"as known at {document['at']}"]
    for s in document["stations"]:
        for c in s["channels"]:
            unsure = ("【未確認】" if ja else "UNCONFIRMED ") * (c["unconfirmed"] > 0)
            value = "" if c["value"] is None else f"  {c['value']:.2f} {c['unit']}"
            age = "" if c["age_s"] is None else f"  measured {c['age_s'] // 60} min before"
            none = "  no reading is kept from then" if c["measured"] is None else ""
            lines.append(f"  {s['name'][lang]}  {unsure}{c['text'][lang]}{value}{age}{none}")
        lines += [f"      {_episode(e)}" for e in s["episodes"]]
        lines += [f"      {kind} until {x['until']}, by {x['by']}" for kind, x in s["suspended"].items()]
    lines += [f"  common cause {e['episode']}: {', '.join(e['stations'])}; {_seen(e)}" for e in document["causes"]]
    return lines


def _episode(e: dict[str, Any]) -> str:
    judged = f", {e['judged']} by {e['judged_by']}" if e["judged"] else ""
    return f"{'【訓練】' * e['drill']}{e['episode']} since {e['since']}, {_seen(e)}{judged}"


def _seen(e: dict[str, Any]) -> str:
    return f"seen by {e['acknowledged_by']} at {e['acknowledged']}" if e["acknowledged_by"] else "not seen by anybody"

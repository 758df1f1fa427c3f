"""What a message says in figures, the same in every language."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from gateway.bridge.facts import Facts

JST = timezone(timedelta(hours=9))  # Japan has one zone and no summer time


def clock(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, JST):%H:%M}"


def amount(value: float | None, unit: str) -> str:
    """Metres with two decimals; nothing where there is no value."""
    if value is None:
        return ""
    return f"{value:z.2f} {unit}" if unit == "m" else f"{value:zg} {unit}"


def arrow(per_hour: float | None) -> str:
    if per_hour is None:
        return ""
    return "↑" if per_hour > 0.02 else "↓" if per_hour < -0.02 else "→"


def figures(f: Facts) -> dict[str, str]:
    """The words of a template that are names or figures, each empty where there is nothing to say."""
    named = f.named
    return {
        "river": f.station.river,
        "area": f.station.area,
        "difference": "" if f.difference is None else f"{f.difference:+z.2f} {f.unit}",
        "threshold": f"{named.value:z.2f} {f.unit}" if named is not None and not f.contact else "",
        "authority": named.authority if named else "",
        "basis": named.basis if named else "",
        "source": named.source if named else "",
        "table": f.levels.name if f.version else "",
        "version": f.version,
    }

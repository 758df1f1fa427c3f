"""Series: for a screen in as many points as it has, as CSV row by row; what the store no longer has, from InfluxDB."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from gateway import instants, seriesfile
from gateway.instants import iso
from gateway.seriesfile import Line, Whole
from gateway.stations import Channel, Station
from gateway.web import history
from gateway.web.asking import Here, Reading
from gateway.web.problems import Problem
from gateway.web.rest import PROBLEMS, Name, Tenant, open_channels, station_of, tagged
from gateway.web.site import Site
from gateway.web.who import Who

DAY_MS = 86_400_000
LONGEST_MS = 3660 * DAY_MS
TABLE_MS = 400 * DAY_MS
ChannelName = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9_]{0,63}$", description="Name of the channel.")]
From = Annotated[str, Query(alias="from", max_length=40, description="ISO 8601 with offset; a day before `to`.")]
To = Annotated[str, Query(max_length=40, description="ISO 8601 with offset; now by default.")]
HEADER = ("observed", "received", "value", "unit", "raw", "flag", "flag_when_received", "fault", "tests")


routes = APIRouter(prefix="/api/v1/stations/{tenant}/{station}/channels/{channel}", responses=PROBLEMS)


@routes.get("/series", tags=["values"])
def series(
    site: Here,
    request: Request,
    tenant: Tenant,
    station: Name,
    channel: ChannelName,
    who: Reading,
    from_: From = "",
    to: To = "",
    points: Annotated[int, Query(ge=2, le=4000, description="How many at most.")] = 1000,
) -> Response:
    """At most so many points, each with its least and greatest value, and where data are missing."""
    place, found = _meant(site, who, tenant, station, channel)
    from_ms, to_ms = _span(site, from_, to, LONGEST_MS)
    key = (tenant, place.id, found.name)
    line = seriesfile.line(site.bridge.store, key, found, from_ms, to_ms, points, who.staff, site.past)
    older = history.older(site.bridge.influx, key, found, from_ms, to_ms, line) if who.staff else None
    return tagged(request, msgspec.json.encode(_document(found, line, older, from_ms, to_ms)))


@routes.get("/observations", tags=["values"])
def observations(
    site: Here,
    tenant: Tenant,
    station: Name,
    channel: ChannelName,
    who: Reading,
    from_: From = "",
    to: To = "",
    limit: Annotated[int, Query(ge=1, le=2000, description="How many at most.")] = 500,
) -> dict[str, Any]:
    """The newest observations one by one, the newest first: what the sensor gave, what it means, what the quality tests
    said when it came and since. `next`, where there are more: `to` of the page before them."""
    place, found = _meant(site, who, tenant, station, channel)
    from_ms, to_ms = _span(site, from_, to, TABLE_MS)
    key = (tenant, place.id, found.name)
    rows = seriesfile.sheet(site.bridge.store, key, from_ms, to_ms, limit + 1, who.staff)
    further = iso(rows[limit - 1][0]) if len(rows) > limit else None
    return {"unit": found.unit, "observations": [_whole(row) for row in rows[:limit]], "next": further}


def _whole(row: Whole) -> dict[str, Any]:
    observed_ms, received_ms, value, raw, flag, flag_rt, fault, tests = row
    return {"observed": iso(observed_ms), "received": iso(received_ms), "value": value, "raw": raw, "flag": flag,
            "flag_when_received": flag_rt, "fault": fault, "tests": (tests or "").split()}  # fmt: skip


@routes.get("/series.csv", tags=["values"])
def table(
    site: Here, tenant: Tenant, station: Name, channel: ChannelName, who: Reading, from_: From = "", to: To = ""
) -> Response:
    """Every observation that the store has, UTF-8 with a byte order mark so that Excel reads it."""
    place, found = _meant(site, who, tenant, station, channel)
    from_ms, to_ms = _span(site, from_, to, TABLE_MS)
    name = f"{tenant}-{place.id}-{found.name}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    lines = _lines(site, (tenant, place.id, found.name), found, from_ms, to_ms, who.staff)
    return StreamingResponse(lines, 200, headers, "text/csv; charset=utf-8")


def _meant(site: Site, who: Who, tenant: str, station: str, channel: str) -> tuple[Station, Channel]:
    place = station_of(site, who, tenant, station)
    found = next((c for c in open_channels(place, who) if c.name == channel), None)
    if found is None:
        raise Problem(404, "not_found", f"{tenant}/{station} has no channel {channel}")
    return place, found


def _span(site: Site, from_: str, to: str, longest_ms: int) -> tuple[int, int]:
    """Raises Problem 422."""
    try:
        to_ms = instants.parse(to) if to else site.clock.now_ms() + 1
        from_ms = instants.parse(from_) if from_ else to_ms - DAY_MS
    except ValueError:
        raise Problem(422, "invalid", "from and to are times with their offset, like 2026-11-24T03:00:00Z") from None
    if not 0 < to_ms - from_ms <= longest_ms:
        raise Problem(422, "invalid", f"from lies before to, by at most {longest_ms // DAY_MS} days")
    return from_ms, to_ms


def _document(channel: Channel, line: Line, older: Line | None, from_ms: int, to_ms: int) -> dict[str, Any]:
    points = [*(older.points if older else ()), *line.points]
    return {
        "from": iso(from_ms), "to": iso(to_ms), "quantity": channel.quantity, "unit": channel.unit,
        "resolution_ms": line.width_ms, "oldest": iso(line.oldest_ms), "history": older is not None,
        "points": [(p.observed_ms, p.value, p.flag, p.low, p.high) for p in points], "gaps": line.gaps,
    }  # fmt: skip


def _lines(
    site: Site, key: tuple[str, str, str], channel: Channel, from_ms: int, to_ms: int, worked: bool
) -> Iterator[str]:
    out = io.StringIO()
    out.write("\ufeff")
    write = csv.writer(out, lineterminator="\r\n").writerow
    write(HEADER)
    for n, row in enumerate(seriesfile.table(site.bridge.store, key, from_ms, to_ms, worked)):
        observed_ms, received_ms, value, raw, flag, flag_rt, fault, tests = row
        write((iso(observed_ms), iso(received_ms), value, channel.unit, raw, flag, flag_rt, fault or "", tests or ""))
        if n % 500 == 499:
            yield out.getvalue()
            out.seek(0)
            out.truncate()
    yield out.getvalue()

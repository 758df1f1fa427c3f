"""What the store no longer has, read from InfluxDB by InfluxQL, which 1.x, 2.x (DBRP) and 3.x share. InfluxDB being
down makes a line shorter, never a page fail."""

from __future__ import annotations

import json
import logging
import math
from typing import Any
from urllib.parse import urlencode

from gateway import settings
from gateway.board import Series
from gateway.seriesfile import Line, Point
from gateway.stations import Channel

log = logging.getLogger(__name__)
LONGEST_S = 3.0  # a person waits for it
MOST_BYTES = 8_000_000


def older(
    influx: settings.Influx | None, series: Series, channel: Channel, from_ms: int, to_ms: int, line: Line
) -> Line | None:
    """What lies before the oldest row of the store, in spans as wide as the line's; None without InfluxDB, and where
    the store has all or InfluxDB does not answer."""
    until_ms = to_ms if line.oldest_ms is None else min(to_ms, line.oldest_ms)
    if influx is None or until_ms <= from_ms:
        return None
    width = max(line.width_ms, 1000)
    answer = _asked(influx, _query(series, channel, from_ms, until_ms, width))
    if answer is None:
        return None
    found = [_point(row) for row in _rows(answer)]
    return Line([p for p in found if p is not None], [], width, None)


def _query(series: Series, channel: Channel, from_ms: int, to_ms: int, width_ms: int) -> str:
    tenant, station, name = (x.replace("\\", "\\\\").replace("'", "\\'") for x in series)
    return (
        f'SELECT last("value"), min("value"), max("value"), max("flag") FROM "{channel.quantity}" '  # noqa: S608 - quoted
        f"WHERE \"tenant\" = '{tenant}' AND \"station\" = '{station}' AND \"channel\" = '{name}' "
        f"AND time >= {from_ms}ms AND time < {to_ms}ms GROUP BY time({width_ms}ms) fill(none)"
    )


def _asked(to: settings.Influx, query: str) -> Any:
    import urllib3

    headers = urllib3.make_headers(basic_auth=f"{to.username}:{to.password}") if to.username else {}
    if to.token:
        headers["Authorization"] = f"Token {to.token}"
    fields = urlencode({"db": to.bucket, "epoch": "ms", "q": query})
    try:
        with urllib3.PoolManager(maxsize=1, headers=headers, retries=False) as http:
            r = http.request("GET", f"{to.url.rstrip('/')}/query?{fields}", timeout=LONGEST_S, preload_content=False)
            body = r.read(MOST_BYTES + 1)
            r.release_conn()
    except urllib3.exceptions.HTTPError as e:
        log.warning("no history from InfluxDB (%s)", type(e).__name__)
        return None
    if r.status != 200 or len(body) > MOST_BYTES:
        log.warning("no history from InfluxDB (answer %s, %d bytes)", r.status, len(body))
        return None
    try:
        return json.loads(body)
    except ValueError:
        log.warning("no history from InfluxDB (its answer is not JSON)")
        return None


def _rows(answer: Any) -> list[Any]:
    try:
        found = [values for result in answer["results"] for s in result.get("series", ()) for values in s["values"]]
    except (KeyError, TypeError, AttributeError):
        log.warning("no history from InfluxDB (its answer has another form)")
        return []
    return found


def _point(row: Any) -> Point | None:
    """None for what is no row of ours."""
    if not isinstance(row, list) or len(row) != 5 or type(row[0]) is not int:
        return None
    value, low, high, flag = (x if type(x) in (int, float) and math.isfinite(x) else None for x in row[1:])
    return Point(row[0], value, int(flag) if flag is not None else 2, low, high)

"""Which InfluxDB stands at an address, and what it holds of a demonstration. Used beside the bridge, never by it."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.errors import Unavailable
from gateway.units import QUANTITIES

TIMEOUT_S = 10.0
Points = dict[tuple[str, str, int], float]


@dataclass(frozen=True, slots=True)
class Target:
    """Where points go. `kind`: influxdb1, influxdb2 (or 3), victoriametrics (which can be written, not counted)."""

    kind: str
    url: str
    database: str
    org: str = ""
    token: str = ""

    def settings(self, token_file: str | None) -> dict[str, object]:
        """The `influx` section of bridge.yaml."""
        if self.kind == "influxdb1":
            return {"api": "v1", "url": self.url, "database": self.database}
        section: dict[str, object] = {
            "api": "v2",
            "url": self.url,
            "bucket": self.database,
            "org": self.org or "suimon",
        }
        if token_file:
            section["token_file"] = token_file
        if self.kind == "victoriametrics":
            section["strings"] = False
        return section


def _get(url: str, headers: Mapping[str, str] | None = None) -> tuple[int, Mapping[str, str], bytes]:
    request = urllib.request.Request(url, headers=dict(headers or {}))  # noqa: S310 - http(s) by the user's word
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as r:  # noqa: S310
            return r.status, dict(r.headers), r.read()
    except urllib.error.HTTPError as e:
        return e.code, dict(e.headers), e.read()
    except (OSError, ValueError) as e:
        raise Unavailable(f"cannot reach InfluxDB at {url}: {getattr(e, 'reason', e)}") from e


def detect(url: str, database: str, org: str, token: str) -> Target:
    """Ask the server what it is. Raises Unavailable where none answers."""
    url = url.rstrip("/")
    _, headers, _ = _get(f"{url}/ping")
    lower = {name.lower(): value for name, value in headers.items()}
    version = lower.get("x-influxdb-version", "")
    if not version and "victoriametrics" in (_get(f"{url}/metrics")[2][:200_000].decode("utf-8", "replace")).lower():
        return Target("victoriametrics", url, database)
    kind = "influxdb1" if version.lstrip("v").startswith("1.") else "influxdb2"
    return Target(kind, url, database, org, token)


def create(target: Target) -> None:
    """Make the database where it is an InfluxDB 1.x; elsewhere it must be there."""
    if target.kind == "influxdb1":
        body = urllib.parse.urlencode({"q": f'CREATE DATABASE "{target.database}"'}).encode()
        request = urllib.request.Request(f"{target.url}/query", body, method="POST")  # noqa: S310
        with urllib.request.urlopen(request, timeout=TIMEOUT_S):  # noqa: S310
            pass


def points(target: Target, tenant: str) -> Points | None:
    """(station, channel, ms) -> value of the tenant's points, by InfluxQL. None where they cannot be counted."""
    if target.kind == "victoriametrics":
        return None
    out: Points = {}
    for quantity in QUANTITIES:
        query = f"SELECT value FROM \"{quantity}\" WHERE tenant = '{tenant}' GROUP BY station, channel"  # noqa: S608
        fields = {"db": target.database, "q": query, "epoch": "ms"}
        headers = {"Authorization": f"Token {target.token}"} if target.token else {}
        status, _, body = _get(f"{target.url}/query?{urllib.parse.urlencode(fields)}", headers)
        if status != 200:
            raise Unavailable(f"InfluxDB at {target.url} refuses the query ({status} {body[:200]!r})")
        for series in _series(json.loads(body)):
            tags = series["tags"]
            for at_ms, value in series["values"]:
                if value is not None:
                    out[(tags["station"], tags["channel"], at_ms)] = value
    return out


def _series(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [series for result in answer.get("results", []) for series in result.get("series", [])]

"""What the page and the open interface need to know, as `config.py` hands it over: checked, units resolved, files
read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class Map:
    """What lies behind the marks. `tiles` None: outlines alone. `outlines` is GeoJSON of rivers and areas."""

    tiles: str | None = "https://cyberjapandata.gsi.go.jp/xyz/pale/{z}/{x}/{y}.png"
    attribution: str = "地理院タイル"
    outlines: Path | None = None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What the open interface says of itself."""

    publisher: str = ""
    contact: str = ""
    licence: str = ""
    title: str = ""


EVERY_TENANT = "*"


@dataclass(frozen=True, slots=True)
class Oidc:
    """A provider that knows the city's people. `roles` says which values of `claim` are which role, the highest one
    counts; who has none of them does not come in."""

    issuer: str
    client_id: str
    secret: str | None = field(default=None, repr=False)
    claim: str = "groups"
    roles: Mapping[str, Literal["viewer", "operator", "administrator"]] = field(default_factory=dict)
    tenants: Mapping[str, str] = field(default_factory=dict)  # value of the claim -> its tenant; empty: all see all
    name: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """A page of others about a station: 川の防災情報, a camera, the road manager."""

    ja: str
    en: str
    url: str


@dataclass(frozen=True, slots=True)
class Web:
    """web.yaml: the page and the open interface. `path` is the sub-path that a proxy serves it under, without a slash
    at its end; `proxies` are the addresses whose X-Forwarded headers are believed. `public`: whether anybody may read
    what is no personal matter. `loopback_operator`: whoever sits at this machine is operator, for the demonstration
    alone, which no file can say."""

    accounts: Path
    host: str = "127.0.0.1"
    port: int = 8080
    path: str = ""
    proxies: tuple[str, ...] = ()
    public: bool = False
    title_ja: str = "水位監視"
    title_en: str = "Flood watch"
    map: Map = Map()
    catalogue: Catalogue = Catalogue()
    oidc: Oidc | None = None
    links: Mapping[tuple[str, str], tuple[Link, ...]] = field(default_factory=dict)  # by (tenant, station)
    loopback_operator: bool = False

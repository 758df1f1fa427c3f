"""web.yaml: where the page is served, to whom, and what it shows besides readings. Without the file everything is as
stated in `websettings.Web`: this machine alone, and nothing public."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Container
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

from pydantic import Field

from gateway import fields as f
from gateway import websettings
from gateway.fields import instead
from gateway.schema import Port, Row, Version, need
from gateway.secretfile import secret
from gateway.stations import Registry
from gateway.validation import validate
from gateway.yamlfile import Document

ACCOUNTS = "web.db"
MAX_OUTLINES = 5_000_000  # bytes; every visitor takes them
NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
PLACES = ("{z}", "{x}", "{y}")
Roles = Literal["viewer", "operator", "administrator"]


class TitleRow(Row):
    ja: f.Text = "水位監視"
    en: f.Text = "Flood watch"


class ListenRow(Row):
    host: f.Host = "127.0.0.1"
    port: Port = 8080


class MapRow(Row):
    tiles: f.Text | Literal[False] = websettings.Map().tiles or False
    attribution: f.Text = websettings.Map().attribution
    outlines: f.Text | None = None


class CatalogueRow(Row):
    title: f.Text | None = None
    publisher: f.Text | None = None
    contact: f.Text | None = None
    licence: f.Url | None = None


class OidcRow(Row):
    issuer: f.Url = need("https://login.city.example.jp/realms/staff")
    client_id: f.Text = need("suimon")
    secret_file: f.Text | None = None
    claim: f.Text = "groups"
    roles: Annotated[dict[f.Text, Roles], Field(min_length=1)] = need("{flood-desk: operator}")
    tenants: Annotated[dict[f.Text, f.Text], Field(default_factory=dict)]
    name: f.Text | None = None


class LinkRow(Row):
    ja: f.Text = need("川の防災情報")
    en: f.Text = need("River information")
    url: f.Url = need("https://www.river.go.jp/…")


class WebRow(Row):
    version: Version
    listen: ListenRow = ListenRow()
    path: f.Text | None = None
    proxies: Annotated[list[f.Text], Field(default_factory=list)]
    accounts: f.Text | None = None
    public: bool = False
    title: TitleRow = TitleRow()
    map: MapRow = MapRow()
    catalogue: CatalogueRow = CatalogueRow()
    oidc: Any = None
    links: Annotated[dict[f.Text, Any], Field(default_factory=dict)]


def web(
    document: Document | None,
    folder: FilePath,
    registry: Registry | None,
    beside: FilePath,
    declared: Container[str] = (),
) -> websettings.Web | None:
    """The settings, those of no file where there is none; None after noting what is wrong. `declared` are the stations
    that stand in stations.yaml, in order or not; `beside` is the folder of the bridge's store, where web.db is by
    default: a place that can be written."""
    if document is None:
        return websettings.Web(accounts=beside / ACCOUNTS)
    row = validate(WebRow, document)
    oidc = _oidc(document, folder)
    links = _links(document, registry, declared)
    if row is None:
        return None
    path = (row.path or "").rstrip("/")
    if path and (not path.startswith("/") or "//" in path or not path.isascii() or set(path) & set(' ?#%"<>\\')):
        document.add(("path",), f"'{row.path}' is no sub-path. Write it like /flood")
    _proxies(document, row.proxies)
    tiles = row.map.tiles or None
    if tiles and not (tiles.startswith(("https://", "http://", "/")) and all(x in tiles for x in PLACES)):
        message = f"'{tiles}' names no tiles. Write a URL with {{z}}, {{x}} and {{y}}, or false for none"
        document.add(("map", "tiles"), message)
    outlines = folder / row.map.outlines if row.map.outlines else None
    if outlines is not None:
        _geojson(document, outlines, row.map.outlines or "")
    if document.problems:
        return None
    catalogue = row.catalogue
    return websettings.Web(
        accounts=folder / row.accounts if row.accounts else beside / ACCOUNTS,
        host=row.listen.host,
        port=row.listen.port,
        path=path,
        proxies=tuple(row.proxies),
        public=row.public,
        title_ja=row.title.ja,
        title_en=row.title.en,
        map=websettings.Map(tiles, row.map.attribution, outlines),
        catalogue=websettings.Catalogue(
            catalogue.publisher or "", catalogue.contact or "", catalogue.licence or "", catalogue.title or ""
        ),
        oidc=oidc,
        links=links,
    )


def _proxies(document: Document, proxies: list[str]) -> None:
    for n, proxy in enumerate(proxies):
        try:
            ipaddress.ip_network(proxy)
        except ValueError:
            message = f"'{proxy}' is no address. Write the proxy's, like 10.0.0.5 or 10.0.0.0/28"
            document.add(("proxies", n), message)


def _oidc(document: Document, folder: FilePath) -> websettings.Oidc | None:
    if document.mapping(()).get("oidc") is None:
        return None
    row = validate(OidcRow, document, ("oidc",))
    if row is None:
        return None
    for value, tenant in row.tenants.items():
        if tenant != websettings.EVERY_TENANT and not NAME.fullmatch(tenant):
            message = f"'{tenant}' is no tenant. Write the name of one, or '*' for all of them"
            document.add(("oidc", "tenants", value), message)
    held = secret(document, ("oidc", "secret_file"), row.secret_file, folder)
    if not row.issuer.startswith("https://") and "//127.0.0.1" not in row.issuer and "//localhost" not in row.issuer:
        document.add(("oidc", "issuer"), "who people are is asked by https only, but on this machine itself")
    return websettings.Oidc(
        row.issuer.rstrip("/"), row.client_id, held, row.claim, row.roles, row.tenants, row.name or ""
    )


def _links(
    document: Document, registry: Registry | None, declared: Container[str]
) -> dict[tuple[str, str], tuple[websettings.Link, ...]]:
    """By station; `tenant/station` where two tenants have one of that name."""
    found: dict[tuple[str, str], tuple[websettings.Link, ...]] = {}
    for name, listed in document.mapping(("links",)).items():
        path = ("links", name)
        if not isinstance(listed, list):
            document.add(path, "pages of others stand in a list: [{ja: …, en: …, url: …}]")
            continue
        rows = [validate(LinkRow, document, (*path, n)) for n in range(len(listed))]
        tenant, _, station = str(name).rpartition("/")
        known = registry.stations if registry is not None else {}
        meant = [key for key in known if key[1] == station and tenant in ("", key[0])]
        if registry is not None and len(meant) != 1 and (meant or station not in declared):
            names = [f"{t}/{s}" for t, s in meant] or [s for _, s in known]
            why = "is a station of several tenants" if meant else "is not in stations.yaml"
            document.add(path, f"'{name}' {why}{instead(str(name), names)}", at_key=True)
            continue
        for key in meant:
            found[key] = tuple(websettings.Link(r.ja, r.en, r.url) for r in rows if r is not None)
    return found


def _geojson(document: Document, file: FilePath, name: str) -> None:
    path = ("map", "outlines")
    try:
        size = file.stat().st_size
        found = json.loads(file.read_bytes()) if size <= MAX_OUTLINES else None
    except OSError as e:
        document.add(path, f"{name} cannot be read ({(e.strerror or '').lower()})")
        return
    except (ValueError, RecursionError):
        document.add(path, f"{name} is not JSON. Write GeoJSON in UTF-8")
        return
    if size > MAX_OUTLINES:
        message = f"{name} has {size // 1_000_000} MB, which every visitor would take. Simplify it below 5 MB"
        document.add(path, message)
    elif not isinstance(found, dict) or found.get("type") != "FeatureCollection":
        document.add(path, f"{name} is no GeoJSON FeatureCollection")

"""What is here, for programs and people: an API catalogue (RFC 9727), datasets and services (DCAT 3 as JSON-LD), and a
page of the same. The catalogue of services is open to everybody; datasets are named to those who may read them."""

from __future__ import annotations

from html import escape
from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response

from gateway import units
from gateway.web.asking import Here, Reader
from gateway.web.rest import PROBLEMS, open_channels, tagged
from gateway.web.site import Site, base_of
from gateway.web.who import Who

PROFILE = "https://www.rfc-editor.org/info/rfc9727"
LINKSET = f'application/linkset+json; profile="{PROFILE}"'
WELL_KNOWN = "/.well-known/api-catalog"
CONTEXT = {
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "vcard": "http://www.w3.org/2006/vcard/ns#",
}
OPENAPI = "application/vnd.oai.openapi+json;version=3.1"

routes = APIRouter()


@routes.api_route(WELL_KNOWN, methods=["GET", "HEAD"], include_in_schema=False)
def api_catalogue(site: Here, request: Request) -> Response:
    """Which interfaces there are, and where each is described."""
    base = base_of(site, request)
    member = {
        "anchor": f"{base}/api/v1/",
        "service-desc": [{"href": f"{base}/api/v1/openapi.json", "type": OPENAPI}],
        "service-doc": [{"href": f"{base}/catalogue", "type": "text/html"}],
        "service-meta": [{"href": f"{base}/api/v1/catalogue.jsonld", "type": "application/ld+json"}],
        "status": [{"href": f"{base}/readyz", "type": "text/plain"}],
    }
    if site.web.catalogue.licence:
        member["license"] = [{"href": site.web.catalogue.licence}]
    own = {"anchor": f"{base}{WELL_KNOWN}", "item": [{"href": member["anchor"]}]}
    headers = {"Link": f'<{base}{WELL_KNOWN}>; rel="api-catalog"', "Cache-Control": "public, max-age=300"}
    return Response(msgspec.json.encode({"linkset": [own, member]}), 200, headers, LINKSET)


@routes.get("/api/v1/catalogue.jsonld", tags=["catalogue"], responses=PROBLEMS)
def datasets(site: Here, request: Request, who: Reader) -> Response:
    """Datasets and services (DCAT): one dataset for each owner and quantity."""
    return tagged(request, msgspec.json.encode(_document(site, who, base_of(site, request))), "application/ld+json")


@routes.get("/catalogue", include_in_schema=False)
def page(site: Here, request: Request, who: Reader) -> Response:
    """The same for people."""
    base = base_of(site, request)
    return Response(_page(site, who, base), 200, {"Cache-Control": "no-cache"}, "text/html; charset=utf-8")


def _owned(site: Site, who: Who) -> dict[tuple[str, str], list[str]]:
    """The stations that have a quantity, by (tenant, quantity)."""
    found: dict[tuple[str, str], list[str]] = {}
    for (tenant, name), station in sorted(site.registry.stations.items()):
        if who.sees(tenant):
            for quantity in dict.fromkeys(c.quantity for c in open_channels(station, who) if not c.internal):
                found.setdefault((tenant, quantity), []).append(name)
    return found


def _title(site: Site) -> str:
    return site.web.catalogue.title or site.web.title_ja


def _document(site: Site, who: Who, base: str) -> dict[str, Any]:
    about = site.web.catalogue
    common: dict[str, Any] = {}
    if about.publisher:
        common["dct:publisher"] = {"@type": "foaf:Agent", "foaf:name": about.publisher}
    if about.contact:
        common["dcat:contactPoint"] = {"@type": "vcard:Kind", "vcard:hasEmail": about.contact}
    if about.licence:
        common["dct:license"] = {"@id": about.licence}
    service = f"{base}/api/v1/"
    datasets_ = [
        {
            "@id": f"{base}/catalogue#{tenant}.{quantity}",
            "@type": "dcat:Dataset",
            "dct:title": f"{tenant}: {quantity}",
            "dct:identifier": f"{tenant}.{quantity}",
            "dct:description": f"{quantity} in {units.QUANTITIES[quantity].unit} at {len(names)} stations of {tenant},"
            " preliminary observations with QARTOD flags",
            "dcat:keyword": [quantity, tenant],
            "dct:accrualPeriodicity": {"@id": "http://publications.europa.eu/resource/authority/frequency/UPDATE_CONT"},
            "dcat:distribution": [
                {
                    "@type": "dcat:Distribution",
                    "dct:title": name,
                    "dcat:accessURL": {"@id": f"{base}/api/v1/stations/{tenant}/{name}"},
                    "dcat:accessService": {"@id": service},
                    "dcat:mediaType": "application/json",
                }
                for name in names
            ],
            **common,
        }
        for (tenant, quantity), names in _owned(site, who).items()
    ]
    api = {
        "@id": service,
        "@type": "dcat:DataService",
        "dct:title": f"{_title(site)} API",
        "dcat:endpointURL": {"@id": service},
        "dcat:endpointDescription": {"@id": f"{base}/api/v1/openapi.json"},
        "dcat:servesDataset": [{"@id": x["@id"]} for x in datasets_],
        **common,
    }
    catalogue = {"@id": f"{base}/catalogue", "@type": "dcat:Catalog", "dct:title": _title(site), **common}
    return {"@context": CONTEXT, **catalogue, "dcat:dataset": datasets_, "dcat:service": [api]}


def _page(site: Site, who: Who, base: str) -> str:
    about = site.web.catalogue
    facts = [
        ("提供 Publisher", about.publisher),
        ("連絡先 Contact", about.contact),
        ("利用条件 Licence", about.licence),
    ]
    listed = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts if v)
    links = [
        ("OpenAPI", f"{base}/api/v1/openapi.json"),
        ("DCAT (JSON-LD)", f"{base}/api/v1/catalogue.jsonld"),
        ("観測所 Stations", f"{base}/api/v1/stations"),
        ("最新値 Latest values", f"{base}/api/v1/latest"),
        ("GeoJSON", f"{base}/api/v1/stations.geojson"),
    ]
    services = "".join(f'<li><a href="{escape(url)}">{escape(name)}</a></li>' for name, url in links)
    rows = "".join(
        f'<tr id="{escape(tenant)}.{escape(quantity)}"><td>{escape(tenant)}</td><td>{escape(quantity)}</td>'
        f"<td>{escape(units.QUANTITIES[quantity].unit)}</td><td>{len(names)}</td></tr>"
        for (tenant, quantity), names in _owned(site, who).items()
    )
    title = escape(_title(site))
    return (
        f'<!doctype html>\n<html lang="ja"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="stylesheet" href="{escape(base)}/static/style.css"></head>\n'
        f'<body class="sheet"><main id="main"><h1>{title}</h1>\n<dl>{listed}</dl>\n'
        f"<h2>インターフェース Interfaces</h2><ul>{services}</ul>\n<h2>データセット Datasets</h2>\n"
        "<table><thead><tr><th>所有者 Owner</th><th>項目 Quantity</th><th>単位 Unit</th><th>局数 Stations</th></tr>"
        f"</thead><tbody>{rows}</tbody></table>\n"
        "<p>観測値（速報値）による参考情報です。避難情報の発令ではありません。 "
        "Preliminary observations, for reference; no evacuation order.</p></main></body></html>\n"
    )

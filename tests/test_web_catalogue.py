"""What other systems find: the catalogue of services and datasets, and the CAP feed over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree

from tests import capxml, website
from tests.test_cli_journal import House
from tests.website import client, site

ATOM = "{http://www.w3.org/2005/Atom}"
LINKSET = 'application/linkset+json; profile="https://www.rfc-editor.org/info/rfc9727"'


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path) as found:
        for n in range(13):
            found.reads(10.0 * n, 1.0 + n / 6)
        yield found


def test_the_catalogue_of_services(house: House) -> None:
    """RFC 9727: a link set with description, documentation and status, by GET and HEAD, open to everybody."""
    website.add_web(
        house.folder, "path: /flood\ncatalogue: {licence: 'https://creativecommons.org/licenses/by/4.0/'}\n"
    )
    to = client(site(house))
    r = to.get("/flood/.well-known/api-catalog", headers={"Host": "city.example"})
    assert (r.status_code, r.headers["content-type"]) == (200, LINKSET)
    own, api = r.json()["linkset"]
    assert own["item"] == [{"href": "http://city.example/flood/api/v1/"}]
    assert api["service-desc"][0]["href"] == "http://city.example/flood/api/v1/openapi.json"
    assert {"service-doc", "service-meta", "status", "license"} <= api.keys()
    head = to.head("/.well-known/api-catalog")
    assert (head.status_code, head.content) == (200, b"")
    assert 'rel="api-catalog"' in head.headers["link"]
    assert to.get(api["status"][0]["href"].removeprefix("http://city.example")).status_code == 200


def test_datasets(house: House) -> None:
    """One for each owner and quantity, with licence and contact; to who may not read them they are not named."""
    website.add_web(house.folder, "catalogue: {publisher: 高松市, contact: 'mailto:flood@city.example'}\n")
    found = client(site(house, public=True)).get("/api/v1/catalogue.jsonld")
    assert found.headers["content-type"] == "application/ld+json"
    document = found.json()
    names = {x["dct:identifier"] for x in document["dcat:dataset"]}
    assert names == {"takamatsu.water_level", "takamatsu.rain"}
    (api,) = document["dcat:service"]
    assert api["@type"] == "dcat:DataService"
    assert {x["@id"] for x in api["dcat:servesDataset"]} == {x["@id"] for x in document["dcat:dataset"]}
    assert document["dct:publisher"]["foaf:name"] == "高松市"
    assert client(site(house)).get("/api/v1/catalogue.jsonld").status_code == 401
    assert client(site(house), "foreign").get("/api/v1/catalogue.jsonld").json()["dcat:dataset"] == []
    page = client(site(house, public=True)).get("/catalogue")
    assert (page.status_code, "高松市" in page.text, "water_level" in page.text) == (200, True, True)
    assert "<script" not in page.text
    assert "style=" not in page.text


def test_a_host_cannot_break_the_page(house: House) -> None:
    """What stands in the Host header is only ever an address."""
    page = client(site(house, public=True)).get("/catalogue", headers={"Host": 'x"><script>alert(1)</script>'})
    assert "<script" not in page.text


def entries(text: bytes) -> list[str]:
    return [e.findtext(f"{ATOM}title") or "" for e in etree.fromstring(text).findall(f"{ATOM}entry")]


def test_the_feed(house: House) -> None:
    """Restricted documents are for staff of the tenant; each is valid CAP; who has it already is told so."""
    of = site(house, 121)
    staff = client(of, "viewer")
    r = staff.get("/cap/feed.atom")
    assert (r.status_code, r.headers["content-type"]) == (200, "application/atom+xml")
    assert len(entries(r.content)) >= 1
    links = [x.get("href") for x in etree.fromstring(r.content).iter(f"{ATOM}link") if x.get("rel") == "alternate"]
    for link in links:
        document = staff.get(link.removeprefix("http://testserver"))
        assert document.headers["content-type"] == "application/cap+xml"
        assert capxml.schema().validate(etree.fromstring(document.content))
    again = staff.get("/cap/feed.atom", headers={"If-None-Match": r.headers["etag"]})
    assert again.status_code == 304
    path = links[0].removeprefix("http://testserver")
    for token, public in (("", True), ("foreign", False)):
        to = client(site(house, 121, public=public), token)
        assert entries(to.get("/cap/feed.atom").content) == []
        assert to.get(path).status_code == 404
    assert client(site(house, 121)).get("/cap/feed.atom").status_code == 401
    assert staff.get("/cap/suimon.nothing.xml").status_code == 404
    assert staff.get("/cap/..%2fstore.db").status_code in (404, 422)


def test_a_drill_is_not_for_the_public(house: House) -> None:
    """Also where documents are public."""
    text = (house.folder / "bridge.yaml").read_text().replace("cap: {", "cap: {scope: public, ")
    (house.folder / "bridge.yaml").write_text(text)
    with_public = site(house, 131, public=True)
    house.bridge = with_public.bridge
    house.reads(130, 3.3)
    house.asks(131, "drill.begin", station="koto-bridge", rank=4, note="年次訓練")
    titles = entries(client(with_public, "viewer").get("/cap/feed.atom").content)
    public = entries(client(with_public).get("/cap/feed.atom").content)
    assert any("訓練" in x for x in titles)
    assert not any("訓練" in x for x in public)

"""The page's interface on a real store: what is read by whom, and what is refused to whom."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from gateway.bridge.store import Store
from gateway.model import Flag
from gateway.web import app
from tests import website
from tests.test_cli_journal import STATION, T0, House
from tests.website import client, site

READS = ["board", "tenants", "stations", f"stations/takamatsu/{STATION}", "latest", "stations.geojson", "outlines"]
SERIES = f"stations/takamatsu/{STATION}/channels/water_level/series"
OBSERVATIONS = f"stations/takamatsu/{STATION}/channels/water_level/observations"
STAFF = ["moving.geojson", "episodes", "episodes?state=closed", "journal", "devices", "health", "letters"]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A river that has risen to its danger level."""
    with House(tmp_path) as found:
        for n in range(13):
            found.reads(10.0 * n, 1.0 + n / 6)
        yield found


def get(to: TestClient, path: str) -> dict[str, object]:
    r = to.get(f"/api/v1/{path}")
    assert r.status_code == 200, r.text
    found: dict[str, object] = r.json()
    return found


def test_the_board(house: House) -> None:
    """The worst station first, with what is open and who has seen it."""
    found = get(client(site(house, 121), "operator"), "board")
    first, *others = found["stations"]  # type: ignore[misc]
    assert (first["station"], first["rank"], first["level"]["key"], first["trend"]) == (STATION, 4, "danger", "up")
    assert (first["over"]["distance"], first["next"], first["acknowledged"]) == (0.0, None, False)
    assert {x["condition"] for x in others} <= {"unknown", "silent"}
    (episode,) = found["episodes"]  # type: ignore[misc]
    assert first["episode"] == episode["episode"]
    assert (found["drill"], found["bulletins"]) == (False, [])


def test_who_is_nobody_sees_nothing(house: House) -> None:
    """Public access is off unless the configuration opens it; wrong, expired and foreign tokens are told nothing."""
    for path in [*READS, SERIES, f"{SERIES}.csv", OBSERVATIONS, *STAFF, "events"]:
        r = client(site(house)).get(f"/api/v1/{path}")
        assert (r.status_code, r.headers["content-type"]) == (401, "application/problem+json"), path
        assert r.json()["code"] == "unauthenticated"
        assert client(site(house), "none").get(f"/api/v1/{path}").status_code == 401, path
        assert client(site(house, public=True), "none").get(f"/api/v1/{path}").status_code == 401, "a bad token is told"


def test_the_public(house: House) -> None:
    """Reads how the water stands; nothing of people, aids for staff and what is under work."""
    public = client(site(house, 121, public=True))
    for path in READS:
        assert public.get(f"/api/v1/{path}").status_code == 200, path
    for path in STAFF:
        assert public.get(f"/api/v1/{path}").status_code == 401, path
    board = get(public, "board")
    assert board.keys() == {"version", "now", "position", "bridge", "drill", "stations"}
    assert not {"minutes_to_next", "acknowledged", "episode"} & board["stations"][0].keys()  # type: ignore[index]
    said = house.asks(121, "maintenance.begin", station=STATION, for_s=3600, note="清掃", force=True)
    assert said["state"] == "done", said
    at_work = client(site(house, 122, public=True))
    shown = next(x for x in get(at_work, "board")["stations"] if x["station"] == STATION)  # type: ignore[attr-defined]
    assert (shown["condition"], shown["value"], shown["observed"]) == ("maintenance", None, None)
    assert [x for x in get(at_work, "latest")["latest"] if x["station"] == STATION] == []  # type: ignore[attr-defined]


def test_tenants_are_apart(house: House) -> None:
    """Who belongs to another owner sees nothing of this one, and cannot tell that it is there; from both sides."""
    foreign, ours = client(site(house, 121), "foreign"), client(site(house, 121), "viewer")
    assert (get(foreign, "board")["stations"], get(foreign, "board")["episodes"]) == ([], [])
    assert (get(foreign, "tenants")["tenants"], get(ours, "tenants")["tenants"]) == ([], ["takamatsu"])
    episode = get(ours, "episodes")["episodes"][0]["episode"]  # type: ignore[index]
    for path in [
        f"stations/takamatsu/{STATION}", SERIES, f"{SERIES}.csv", OBSERVATIONS, f"episodes/takamatsu/{episode}"
    ]:  # fmt: skip
        assert ours.get(f"/api/v1/{path}").status_code == 200, path
        there, none = foreign.get(f"/api/v1/{path}"), foreign.get(f"/api/v1/{path.replace('takamatsu', 'nowhere')}")
        assert there.status_code == none.status_code == 404, path
    for path in ["latest", "stations", "stations.geojson", "devices", "journal", "letters"]:
        assert STATION not in foreign.get(f"/api/v1/{path}").text, path


def test_a_viewer_changes_nothing(house: House) -> None:
    """Acts need an operator, and from a browser the page itself."""
    body = {"kind": "acknowledge", "tenant": "takamatsu", "episode": "x"}
    r = client(site(house), "viewer").post("/api/v1/acts", json=body)
    assert (r.status_code, r.json()["code"]) == (403, "forbidden")
    here = client(site(house, loopback_operator=True), address="127.0.0.1")
    local = {"Host": "localhost:8080"}
    assert here.post("/api/v1/acts", json=body, headers=local).json()["code"] == "cross_site"
    own = local | {"X-Suimon": "1", "Origin": "http://evil.example"}
    assert here.post("/api/v1/acts", json=body, headers=own).json()["code"] == "cross_site"
    good = local | {"X-Suimon": "1", "Origin": "http://localhost:8080"}
    assert house.store is not None
    house.store.close()
    try:
        assert here.post("/api/v1/acts", json=body, headers=good).json()["code"] == "no_bridge"
    finally:
        house.store = Store(house.bridge.store)


def test_the_machine_of_a_demonstration(house: House) -> None:
    """Whoever sits there is operator: by address and by name, never through a proxy, never where it is not one."""
    there = client(site(house, loopback_operator=True), address="127.0.0.1")
    assert there.get("/api/v1/board", headers={"Host": "localhost"}).status_code == 200
    for headers in ({"Host": "rebound.example"}, {"Host": "localhost", "X-Forwarded-For": "192.0.2.1"}):
        assert there.get("/api/v1/board", headers=headers).status_code == 401
    afar = client(site(house, loopback_operator=True), address="192.0.2.9")
    assert afar.get("/api/v1/board", headers={"Host": "localhost"}).status_code == 401
    plain = client(site(house), address="127.0.0.1")
    assert plain.get("/api/v1/board", headers={"Host": "localhost"}).status_code == 401


def test_behind_a_proxy(house: House) -> None:
    """Under its sub-path; the address that a trusted proxy states is believed, nobody else's."""
    website.add_web(house.folder, "path: /flood\nproxies: [10.0.0.5]\n")
    to = client(site(house, 121), "viewer", "10.0.0.5")
    for path in ("/flood/api/v1/board", "/api/v1/board"):
        assert to.get(path, headers={"X-Forwarded-For": "192.0.2.1"}).status_code == 200, path
    document = to.get("/flood/api/v1/openapi.json").json()
    assert document["servers"] == [{"url": "/flood"}]


def test_what_is_the_same_is_not_sent_again(house: House) -> None:
    """By its entity tag."""
    to = client(site(house, 121), "viewer")
    first = to.get("/api/v1/stations")
    again = to.get("/api/v1/stations", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_pages_of_stations(house: House) -> None:
    """Every station once, whatever the size of a page."""
    to, names, after = client(site(house), "viewer"), [], ""
    while True:
        page = get(to, f"stations?limit=2&after={after}")
        names += [x["station"] for x in page["stations"]]  # type: ignore[attr-defined]
        after = str(page["next"] or "")
        if not after:
            break
    assert names == sorted(set(names))
    assert len(names) == page["count"]


def test_a_series(house: House) -> None:
    """In as many points as asked, with the extremes of each; gaps are gaps; CSV has every row."""
    house.reads(400, 2.0, flag=Flag.SUSPECT)
    house.reads(410, 9.0, flag=Flag.FAIL)
    to = client(site(house, 420), "viewer")
    whole = get(to, f"{SERIES}?from=2025-11-24T16:00:00Z")
    assert [p[1:3] for p in whole["points"]][-2:] == [[2.0, 3], [9.0, 4]] or len(whole["points"]) == 15  # type: ignore[attr-defined,arg-type]
    assert whole["gaps"] == [[T0 + 120 * 60_000, T0 + 400 * 60_000, "silent"]]
    few = get(to, f"{SERIES}?from=2025-11-24T16:00:00Z&points=2")
    assert len(few["points"]) == 2  # type: ignore[arg-type]
    assert max(p[4] for p in few["points"]) == 3.0, "the failed value is no extreme"  # type: ignore[attr-defined]
    r = to.get(f"/api/v1/{SERIES}.csv?from=2025-11-24T16:00:00Z")
    lines = r.content.decode("utf-8-sig").split("\r\n")
    assert len(lines) == 1 + 15 + 1
    assert lines[1].startswith("2025-11-24T16:00:00.000Z,2025-11-24T16:00:00.000Z,1.0,m,1.0,1,1,,")


def test_observations_one_by_one(house: House) -> None:
    """The newest first, with what the sensor gave and what was said of it; the pages join without loss or double."""
    house.reads(400, 2.0, flag=Flag.SUSPECT, tests=("spike",))
    house.reads(410, 9.0, flag=Flag.FAIL, tests=("gross_range",))
    to = client(site(house, 420), "viewer")
    whole = get(to, f"{OBSERVATIONS}?from=2025-11-24T16:00:00Z")
    rows: list[dict[str, object]] = whole["observations"]  # type: ignore[assignment]
    assert (len(rows), whole["next"], whole["unit"]) == (15, None, "m")
    assert [(x["value"], x["raw"], x["flag"], x["tests"]) for x in rows[:2]] == [
        (9.0, 9.0, 4, ["gross_range"]), (2.0, 2.0, 3, ["spike"]),
    ]  # fmt: skip
    paged, end = [], ""
    while end is not None:
        page = get(to, f"{OBSERVATIONS}?from=2025-11-24T16:00:00Z&limit=4{f'&to={end}' if end else ''}")
        paged += page["observations"]  # type: ignore[operator]
        end = page["next"]  # type: ignore[assignment]
    assert paged == rows
    assert to.get(f"/api/v1/{OBSERVATIONS}?limit=2001").status_code == 422


@pytest.mark.parametrize(
    "query",
    ["from=yesterday", "from=2025-11-24T16:00:00", "from=2026-01-01T00:00:00Z&to=2025-01-01T00:00:00Z", "points=0",
     "points=999999", "from=0001-01-01T00:00:00Z&to=9999-12-31T00:00:00Z", "from=9999-12-31T23:59:59-23:59"],
)  # fmt: skip
def test_huge_and_wrong_ranges(house: House, query: str) -> None:
    """Are told, and cost nothing."""
    r = client(site(house), "viewer").get(f"/api/v1/{SERIES}?{query}")
    assert (r.status_code, r.json()["code"]) == (422, "invalid")


def test_bounds(house: House) -> None:
    """Long bodies, tricks with paths, and who asks too often."""
    to = client(
        site(house, known=website.Known(slow=website.Who("slow", website.Role.VIEWER, None, "token"))), "viewer"
    )
    assert to.post("/api/v1/acts", content=b"x" * 70_000).status_code == 413
    assert to.post("/api/v1/acts", content=iter([b"x"])).status_code == 413
    for path in (
        "/api/v1/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/static/..%2fapp.py",
        "/api/v1/stations/a/%00",
    ):
        assert to.get(path).status_code in (404, 422), path
    r = to.get("/api/v1/board", headers={"Authorization": "Bearer slow"})
    assert (r.status_code, r.headers["retry-after"]) == (429, "3")


def test_headers(house: House) -> None:
    """Nothing from elsewhere, nothing kept by others."""
    r = client(site(house), "viewer").get("/api/v1/board")
    assert "script-src 'self'" in r.headers["content-security-policy"]
    assert "unsafe" not in r.headers["content-security-policy"]
    assert "img-src 'self' data: https://cyberjapandata.gsi.go.jp" in r.headers["content-security-policy"]
    assert (r.headers["x-content-type-options"], "Authorization" in r.headers["vary"]) == ("nosniff", True)
    assert client(site(house)).get("/readyz").status_code == 200


def test_a_store_that_is_gone(house: House) -> None:
    """A restore under way: not available, with a time to come again."""
    of = site(house)
    house.bridge.store.rename(house.bridge.store.with_name("elsewhere.db"))
    r = client(of, "viewer").get("/api/v1/board")
    assert (r.status_code, r.json()["code"], r.headers["retry-after"]) == (503, "unavailable", "5")
    assert str(house.folder) not in r.text


def test_no_secret_in_the_document(house: House) -> None:
    """The OpenAPI document names every way out of every path."""
    document = app.create(site(house)).openapi()
    for path, methods in document["paths"].items():
        for method, facts in methods.items():
            assert {"401", "422", "429", "503"} <= facts["responses"].keys() or path.endswith("/config"), (path, method)
    assert "store.db" not in json.dumps(document)


@pytest.mark.parametrize("path", ["", "/city/flood"])
def test_the_page_is_served_where_the_configuration_says(house: House, path: str) -> None:
    """At the root and under the sub-path of a proxy, also without the last slash."""
    to = client(site(house, path=path))
    for address in {f"{path}/", path or "/"}:
        assert '<script type="module" src="static/main.js">' in to.get(address).text
    assert to.get(f"{path}/static/main.js").headers["content-type"].startswith("text/javascript")
    assert to.get(f"{path}/static/app.py").status_code == 404


def test_what_people_must_see_is_not_kept_from_them(house: House) -> None:
    """A board made just before something happened is not shown after it."""
    of = site(house, 121)
    before = of.boards.encoded(website.OPERATOR)
    house.reads(130, 3.2)
    assert of.boards.encoded(website.OPERATOR) == before, "a moment lasts"
    of.boards.renew()
    assert of.boards.encoded(website.OPERATOR) != before

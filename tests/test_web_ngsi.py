"""Stations as NGSI-LD entities: what is in them, which queries are done, and what is told about the others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from gateway import board, ngsild
from gateway.model import Flag
from gateway.stations import Channel
from tests.places import LEVELS, T0, TEN_MINUTES, station, thresholds
from tests.test_cli_journal import STATION, House
from tests.website import client, site

BASE = "/ngsi-ld/v1"
ID = f"urn:ngsi-ld:FloodMonitoring:takamatsu:{STATION}"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path) as found:
        for n in range(13):
            found.reads(10.0 * n, 1.0 + n / 6)
        yield found


@pytest.fixture
def to(house: House) -> TestClient:
    return client(site(house, 121), "viewer")


def test_a_station(to: TestClient) -> None:
    """FloodMonitoring: level with its time and unit, the two levels of the model and the others beside them."""
    x = to.get(f"{BASE}/entities/{ID}").json()
    level = x["currentLevel"]
    assert (level["value"], level["unitCode"], level["observedAt"]) == (3.0, "MTR", "2025-11-24T18:00:00.000Z")
    assert (x["alertLevel"]["value"], x["dangerLevel"]["value"], x["cautionLevel"]["value"]) == (2.5, 3.0, 2.0)
    assert x["location"]["value"] == {"type": "Point", "coordinates": [134.07, 34.33]}
    assert (x["rank"]["value"], x["status"]["value"], x["stationID"]["value"]) == (4, "fresh", STATION)


def test_rain_at_a_level_station_is_no_level() -> None:
    """The main channel may be graded rain: the level is the water's all the same, and so are its thresholds."""
    level = Channel("water_level", "water_level", TEN_MINUTES)
    wet = Channel("rain", "rain", TEN_MINUTES, thresholds=thresholds(caution=20.0))
    where = station("both", "gw", wet, level)
    assert where.main_channel is wet
    assert ngsild.attribute_of(where, level) == ("currentLevel", 1.0)
    assert ngsild.attribute_of(where, wet) == ("precipitation", 1.0)
    row = board.row(LEVELS, where, {}, {}, T0)
    assert "cautionLevel" not in ngsild.entity(row, {}, T0, staff=True)


def test_two_forms(to: TestClient) -> None:
    """The context is in the body of JSON-LD and in a header beside JSON; keyValues are values alone."""
    plain = to.get(f"{BASE}/entities/{ID}?options=keyValues", headers={"Accept": "application/json"})
    assert "ngsi-ld-core-context" in plain.headers["link"]
    assert plain.json()["currentLevel"] == 3.0
    linked = to.get(f"{BASE}/entities", headers={"Accept": "application/ld+json"})
    assert linked.headers["content-type"] == "application/ld+json"
    assert {x["@context"] for x in linked.json()} == {ngsild.CONTEXT}


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("type=FloodMonitoring", 2),
        ("type=WeatherObserved", 1),
        ("type=None", 0),
        ("type=FloodMonitoring,WeatherObserved", 3),
        ("q=currentLevel>=3", 1),
        ("q=currentLevel>3", 0),
        ('q=rank==4;status=="fresh"', 1),
        ("q=rank==4", 2),
        ('q=rank==4|status=="unknown"', 4),
        ("q=dateObserved", 1),
        ("attrs=currentLevel", 1),
        (f"id={ID}", 1),
        ("idPattern=^urn:ngsi-ld:Flood.*koto-bridge$", 1),
        ("georel=near;maxDistance==1000&geometry=Point&coordinates=[134.07,34.33]", 2),
        ("georel=near;maxDistance==100000&geometry=Point&coordinates=[134.07,34.33]", 4),
        ("georel=within&geometry=Polygon&coordinates=[[[134,34.3],[134.1,34.3],[134.1,34.4],[134,34.3]]]", 2),
        ("georel=within&geometry=Polygon&coordinates=[[[1,1],[2,1],[2,2],[1,1]]]", 0),
        ("georel=disjoint&geometry=Point&coordinates=[1,1]&geoproperty=nowhere", 0),
        ("type=Alert", 1),
        ('type=Alert&q=severity=="critical";(held==true|confirmed==true)', 1),
        ("type=Alert&q=rank==1..3", 0),
        ("type=Alert,WeatherObserved", 2),
        ('q=name~="^水位情報"', 1),
        ('q=alertSource=="' + ID + '"', 1),
    ],
)
def test_queries(to: TestClient, query: str, count: int) -> None:
    """What fits, and how many, also with limit=0."""
    r = to.get(f"{BASE}/entities?{query}&count=true")
    assert (r.status_code, len(r.json()), r.headers["ngsild-results-count"]) == (200, count, str(count)), r.text
    none = to.get(f"{BASE}/entities?{query}&limit=0&count=true")
    assert (none.json(), none.headers["ngsild-results-count"]) == ([], str(count))


@pytest.mark.parametrize(
    "query",
    ["q=a((b", "q=currentLevel~=(x%2B)%2B", "q=;", "idPattern=(a%2B)%2B$", "georel=within", "limit=-1", "limit=0",
     "limit=x", "georel=near;maxDistance==x&geometry=Point&coordinates=[1,2]", "offset=99999999999999999999",
     "georel=near;maxDistance==5&geometry=Point&coordinates=[1e999,0]",
     "georel=near;maxDistance==5&geometry=Point&coordinates=[NaN,0]",
     "georel=near;maxDistance==nan&geometry=Point&coordinates=[1,2]",
     f"georel=near;maxDistance==5&geometry=Point&coordinates=[1{'0' * 400},0]", "scopeQ=/a"],
)  # fmt: skip
def test_what_is_not_understood(to: TestClient, query: str) -> None:
    """As the standard says: BadRequestData."""
    r = to.get(f"{BASE}/entities?{query}")
    assert (r.status_code, r.headers["content-type"]) == (400, "application/problem+json"), r.text
    assert r.json()["type"] == "https://uri.etsi.org/ngsi-ld/errors/BadRequestData"


def test_types_and_attributes(to: TestClient) -> None:
    """What there is."""
    assert to.get(f"{BASE}/types").json()["typeList"] == ["Alert", "FloodMonitoring", "WeatherObserved"]
    one = to.get(f"{BASE}/types/FloodMonitoring").json()
    assert (one["entityCount"], "currentLevel" in {x["attributeName"] for x in one["attributeDetails"]}) == (2, True)
    assert "dangerLevel" in to.get(f"{BASE}/attributes").json()["attributeList"]
    assert to.get(f"{BASE}/types/Nothing").status_code == 404


def test_how_it_went_on(house: House) -> None:
    """The newest values first asked for; what failed is none; between is between."""
    house.reads(121, 99.0, flag=Flag.FAIL)
    to = client(site(house, 122), "viewer")
    values = to.get(f"{BASE}/temporal/entities/{ID}?options=temporalValues").json()["currentLevel"]["values"]
    assert (len(values), values[-1]) == (13, [3.0, "2025-11-24T18:00:00.000Z"])
    times = "timerel=between&timeAt=2025-11-24T16:10:00Z&endTimeAt=2025-11-24T16:30:00Z"
    few = to.get(f"{BASE}/temporal/entities?type=FloodMonitoring&{times}").json()
    assert [x["observedAt"] for x in few[0]["currentLevel"]] == ["2025-11-24T16:10:00.000Z", "2025-11-24T16:20:00.000Z"]
    assert to.get(f"{BASE}/temporal/entities/{ID}?lastN=2").json()["currentLevel"][0]["value"] == pytest.approx(
        2.8333333
    )
    for bad in ("timerel=never", "timerel=after&timeAt=yesterday", "timerel=between&timeAt=2025-11-24T16:10:00Z"):
        assert to.get(f"{BASE}/temporal/entities/{ID}?{bad}").status_code == 400, bad
    assert to.get(f"{BASE}/temporal/entities").status_code == 400
    for unheard in ("q=rank==5", "idPattern=x", "georel=near;maxDistance==5"):  # what is passed over gives too much
        assert to.get(f"{BASE}/temporal/entities?type=FloodMonitoring&{unheard}").status_code == 400, unheard


def alert_of(to: TestClient) -> str:
    (found,) = to.get(f"{BASE}/entities?type=Alert").json()
    return str(found["id"])


def test_an_alert(house: House, to: TestClient) -> None:
    """By its facts: what, where, since when, how grave, whether a person has seen it; and how its rank went."""
    name = alert_of(to)
    assert name == f"urn:ngsi-ld:Alert:takamatsu:{STATION}.20251124T171000.000Z"
    x = to.get(f"{BASE}/entities/{name}?options=keyValues").json()
    assert {k: x[k] for k in ("type", "name", "category", "subCategory", "severity", "rank", "status")} == {
        "type": "Alert", "name": "水位情報 春日橋", "category": "naturalDisaster", "subCategory": "flood",
        "severity": "critical", "rank": 4, "status": "open",
    }  # fmt: skip
    assert x["description"] == "春日橋　氾濫危険水位超過"
    assert x["alertSource"] == ID
    assert x["location"]["coordinates"] == [134.07, 34.33]
    assert x["dateIssued"] == {"@type": "DateTime", "@value": "2025-11-24T17:10:00.000Z"}
    assert (x["acknowledged"], "validTo" in x) == (False, False)
    went = to.get(f"{BASE}/temporal/entities/{name}").json()["rank"]
    assert [(r["value"], r["observedAt"][11:16]) for r in went] == [(2, "17:10"), (3, "17:30"), (4, "18:00")]
    brief = to.get(
        f"{BASE}/temporal/entities?type=Alert&options=temporalValues&timerel=before&timeAt=2025-11-24T17:30:00Z"
    )
    assert brief.json()[0]["rank"]["values"] == [[2, "2025-11-24T17:10:00.000Z"]]


def test_an_alert_that_is_over(house: House) -> None:
    """Has an end and what was decided, stays among them for two days, and is found by its id ever after."""
    name = alert_of(client(site(house, 121), "viewer"))
    house.asks(121, "alert.reject", episode=name.rpartition(":")[2], basis="camera", note="晴れ", by="a")
    x = client(site(house, 130), "viewer").get(f"{BASE}/entities?type=Alert&options=keyValues").json()
    assert [(e["status"], e["judgement"], e["severity"], "validTo" in e) for e in x] == [
        ("closed", "rejected", "critical", True)
    ]
    later = client(site(house, 121 + 49 * 60), "viewer")
    assert later.get(f"{BASE}/entities?type=Alert").json() == []
    assert later.get(f"{BASE}/entities/{name}").json()["highestRank"]["value"] == 4


def test_alerts_are_for_staff_of_their_tenant(house: House) -> None:
    """As the episodes are; a drill is none."""
    ours = site(house, 121, public=True)
    name = alert_of(client(ours, "viewer"))
    for role in (None, "foreign"):
        to = client(ours, role) if role else client(ours)
        assert to.get(f"{BASE}/entities?type=Alert").json() == []
        assert "Alert" not in to.get(f"{BASE}/types").json()["typeList"]
        for path in (f"entities/{name}", f"temporal/entities/{name}"):
            assert to.get(f"{BASE}/{path}").status_code == 404
    assert client(ours, "viewer").get(f"{BASE}/entities/urn:ngsi-ld:Alert:takamatsu:{STATION}").status_code == 404
    begun = house.asks(122, "drill.begin", station="koto-bridge", rank=4, note="年次訓練")
    assert begun["state"] == "done", begun
    assert len(client(site(house, 123), "viewer").get(f"{BASE}/entities?type=Alert").json()) == 1


def test_pages_are_linked(to: TestClient) -> None:
    """The page before and the page after, with everything else that was asked."""
    first = to.get(f"{BASE}/entities?type=FloodMonitoring,Alert&limit=2")
    assert 'rel="next"' in first.headers["link"]
    assert 'rel="prev"' not in first.headers["link"]
    seen = [x["id"] for x in first.json()]
    following = first.headers["link"].rpartition("<")[2].partition(">")[0]
    last = to.get(following)
    assert 'rel="prev"' in last.headers["link"]
    assert 'rel="next"' not in last.headers["link"]
    assert len({*seen, *(x["id"] for x in last.json())}) == 3


def test_tenants_and_the_public(house: House) -> None:
    """Nobody's without an account; another tenant's not at all; the public sees nothing of a station under work."""
    assert client(site(house, 121)).get(f"{BASE}/entities").status_code == 401
    foreign = client(site(house, 121), "foreign")
    assert foreign.get(f"{BASE}/entities?count=true").headers["ngsild-results-count"] == "0"
    for path in (f"entities/{ID}", f"temporal/entities/{ID}"):
        assert foreign.get(f"{BASE}/{path}").status_code == 404
    ours = client(site(house, 121), "viewer")
    assert len(ours.get(f"{BASE}/entities", headers={"NGSILD-Tenant": "takamatsu"}).json()) == 4
    missing = ours.get(f"{BASE}/entities", headers={"NGSILD-Tenant": "nowhere"})
    assert (missing.status_code, missing.json()["type"].rpartition("/")[2]) == (404, "NonexistentTenant")
    house.asks(121, "maintenance.begin", station=STATION, for_s=3600, note="清掃", force=True)
    public = client(site(house, 122, public=True)).get(f"{BASE}/entities/{ID}").json()
    assert ("currentLevel" in public, public["status"]["value"]) == (False, "maintenance")


def test_nothing_is_written(to: TestClient) -> None:
    """It is for reading."""
    assert to.post(f"{BASE}/entities", json={"id": ID}).status_code == 405
    assert to.delete(f"{BASE}/entities/{ID}").status_code == 405

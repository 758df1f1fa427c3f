"""What people do by the page's interface: each of several acts has a fate of its own, and it can be looked at later."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from gateway import orionstanding, settings, storefile
from gateway.bridge.requests import Requests
from gateway.orionstanding import Standing
from gateway.web import acts
from gateway.web.site import WAITING, Site
from tests import world
from tests.servers import wait_for
from tests.test_cli_journal import MINUTE, STATION, T0, House
from tests.webschema import Bridge
from tests.website import Known, client, site


def night(house: House) -> None:
    """One river at its danger level, another at its caution level."""
    for n, value in ((1, 2.2), (2, 3.1), (3, 3.1)):
        house.reads(10.0 * n, value)
    work = house.work(40)
    for n in range(3):
        at = T0 + (38 + n) * MINUTE
        koto = world.observation(n, 2.1, station="koto-bridge", device="koto-01", observed_ms=at, received_ms=at)
        work.observe([koto])
    house.write(work)


def episodes(of: Site) -> dict[str, str]:
    return {e.station: e.id for e in of.boards.board().episodes}


def test_each_of_several_has_its_fate(tmp_path: Path) -> None:
    """All are asked at once. One that cannot be acknowledged hides none that was; what is grave is seen by itself; each
    is in the audit."""
    bridge = Bridge(tmp_path, night, least=2)
    try:
        known = Known()
        of = site(House(tmp_path), 41, known)
        open_ = episodes(of)
        named = [open_["koto-bridge"], "nowhere", open_[STATION], open_["koto-bridge"]]
        body = {"tenant": "takamatsu", "episodes": named, "note": "見た"}
        r = client(of, "operator").post("/api/v1/acts/acknowledge", json=body)
    finally:
        bridge.stop()
    assert r.status_code == 207
    done, nowhere, grave = r.json()["acts"]
    assert (done["episode"], done["state"], done["answer"]["by"]) == (named[0], "done", "田中")
    assert (nowhere["state"], "no open episode" in nowhere["answer"]["reason"]) == ("refused", True)
    assert (grave["state"], grave["request"]) == ("refused", None)
    assert "by itself" in grave["answer"]["reason"]
    assert sorted(x[4] for x in known.noted) == ["done", "refused", "refused"]


def test_what_is_not_answered_yet_can_be_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its number each says later what became of it, to whoever may know."""
    monkeypatch.setattr(acts, "WAIT_S", 0.2)
    with House(tmp_path) as house:
        night(house)
        of = site(house, 41)
        to = client(of, "operator")
        named = [episodes(of)["koto-bridge"], *(f"nowhere-{n}" for n in range(150))]
        r = to.post("/api/v1/acts/acknowledge", json={"tenant": "takamatsu", "episodes": named})
        assert r.status_code == 207
        assert {x["state"] for x in r.json()["acts"]} == {"asked"}
        numbers = [x["request"] for x in r.json()["acts"]]
        assert to.get(f"/api/v1/acts/{numbers[0]}").json() == {"request": numbers[0], "state": "asked", "answer": {}}
        assert house.memory is not None
        requests = Requests(house.bridge.store)
        while requests.serve(house.memory, lambda: house.work(42).rules, house.write):
            pass
        fates = [to.get(f"/api/v1/acts/{n}").json() for n in numbers]
        assert [x["state"] for x in fates] == ["done"] + ["refused"] * 150
        assert client(of, "foreign").get(f"/api/v1/acts/{numbers[0]}").status_code == 404
        assert to.get("/api/v1/acts/99999").status_code == 404


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, TestClient]]]:
    """A store without episodes, asked by those of all tenants and of one."""
    with House(tmp_path_factory.mktemp("quiet")) as house:
        yield house.bridge.store, {x: client(site(house, 1), x) for x in ("operator", "foreign")}


@examples(suppress_health_check=list(HealthCheck))
@given(
    closed=st.lists(st.tuples(st.sampled_from(["takamatsu", "elsewhere"]), st.integers(0, 3)), max_size=12),
    limit=st.integers(1, 5),
)
def test_pages_of_closed_episodes(
    quiet: tuple[Path, dict[str, TestClient]], closed: list[tuple[str, int]], limit: int
) -> None:
    """Whatever ends in one millisecond: pages of any size give every episode of one's own once, the newest first."""
    store, clients = quiet
    sql = "INSERT INTO episodes (tenant, id, station, opened_ms, closed_ms, max_rank) VALUES (?,?,?,?,?,2)"
    with closing(sqlite3.connect(store)) as db, db:
        db.execute("DELETE FROM episodes")
        db.executemany(sql, [(tenant, f"e{n}", STATION, T0, T0 + at) for n, (tenant, at) in enumerate(closed)])
    for token, sees in (("operator", {"takamatsu", "elsewhere"}), ("foreign", {"elsewhere"})):
        found: list[tuple[str, str]] = []
        before: str | None = ""
        pages = 0
        while before is not None:
            r = clients[token].get(f"/api/v1/episodes?state=closed&limit={limit}&before={before}").json()
            found += [(x["closed"], x["episode"]) for x in r["episodes"]]
            before, pages = r["next"], pages + 1
        mine = sorted(f"e{n}" for n, (tenant, _) in enumerate(closed) if tenant in sees)
        assert sorted(name for _, name in found) == mine
        assert [at for at, _ in found] == sorted((at for at, _ in found), reverse=True)
        assert pages == len(mine) // limit + 1


def test_pages_of_the_journal(tmp_path: Path) -> None:
    """Whoever follows it by the number of the last row misses none, whatever the size of a page."""
    with House(tmp_path) as house:
        for n in range(7):
            house.asks(n, "journal.add", kind="other", tenant="takamatsu", text=f"entry {n}")
        to = client(site(house, 10), "operator")
        numbers, after = [], 1
        while page := to.get(f"/api/v1/journal?after={after}&limit=2").json()["rows"]:
            numbers += [x["number"] for x in page]
            after = numbers[-1]
        newest = to.get("/api/v1/journal?limit=2").json()["rows"]
    assert numbers == [2, 3, 4, 5, 6, 7]
    assert [x["number"] for x in newest] == [6, 7]


def test_who_waits_for_a_bridge_that_hangs_keeps_nobody_from_looking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many wait; the others are told at once that it is asked, by its number, and the board is there."""
    monkeypatch.setattr(acts, "WAIT_S", 60.0)
    with House(tmp_path) as house, ThreadPoolExecutor(4 * WAITING) as pool:
        night(house)
        to = client(site(house, 41), "operator")
        body = {"kind": "acknowledge", "tenant": "takamatsu", "episode": "nowhere"}
        asked = [pool.submit(to.post, "/api/v1/acts", json=body) for _ in range(4 * WAITING)]
        wait_for("those who are not waited for", lambda: sum(x.done() for x in asked) == 3 * WAITING)
        assert to.get("/api/v1/board").status_code == 200
        assert {x.result().json()["state"] for x in asked if x.done()} == {"asked"}
        assert house.memory is not None
        requests = Requests(house.bridge.store)
        while requests.serve(house.memory, lambda: house.work(42).rules, house.write):
            pass
        assert sorted(x.result().status_code for x in asked) == [200] * 3 * WAITING + [409] * WAITING


HALF = '"\\ud800"'  # of a UTF-16 pair
TEXTS = [
    '{"kind": "write", "what": "other", "tenant": "takamatsu", "text": %s}',
    '{"kind": "write", "what": "other", "tenant": "takamatsu", "text": "x", "episode": %s}',
    '{"kind": "write", "what": "other", "tenant": "takamatsu", "text": "x", "station": %s}',
    '{"kind": "acknowledge", "tenant": "takamatsu", "episode": %s}',
    '{"kind": "acknowledge", "tenant": "takamatsu", "episode": "x", "note": %s}',
    '{"kind": "acknowledge", "tenant": %s, "episode": "x"}',
    '{"kind": "mute", "tenant": "takamatsu", "station": "kasuga-bridge", "for_s": 60, "note": %s}',
    '{"kind": "close", "tenant": "takamatsu", "episode": "x", "basis": %s}',
    '{"kind": "acknowledge", "tenant": "takamatsu", "episode": "x", %s: 1}',
]


def test_half_of_a_character_in_a_text(tmp_path: Path) -> None:
    """With a bridge that would do it: refused by its place before anything is asked; what JSON can say and a store can
    hold is kept as it was typed."""
    bridge = Bridge(tmp_path, night)
    try:
        of = site(House(tmp_path), 41)
        to = client(of, "operator")
        to.headers["Content-Type"] = "application/json"
        for text in TEXTS:
            r = to.post("/api/v1/acts", content=text % HALF)
            assert (r.status_code, r.json()["code"]) == (422, "invalid"), text
            r.text.encode()
        many = '{"tenant": "takamatsu", "episodes": ["x", %s], "note": "x"}'
        assert to.post("/api/v1/acts/acknowledge", content=many % HALF).status_code == 422
        assert storefile.rows(of.bridge.store, "SELECT count(*) FROM requests") == [(0,)]
        r = to.post("/api/v1/acts", content=TEXTS[0] % '"\\u0000"')
        assert (r.status_code, r.json()["detail"]) == (409, "the text holds control characters")
        r = to.post("/api/v1/acts", content=TEXTS[0] % '"\U0001f30a"')
        assert (r.status_code, r.json().get("state")) == (200, "done")
        (row,) = to.get("/api/v1/journal").json()["rows"][-1:]
        assert "\U0001f30a" in row["text"]["ja"]
    finally:
        bridge.stop()


def test_health_says_how_the_context_broker_stands(tmp_path: Path) -> None:
    """For staff, as `suimon bridge status`; without one there is nothing to say."""
    with House(tmp_path) as house:
        assert house.store is not None
        of = site(house, 1)
        assert client(of, "viewer").get("/api/v1/health").json()["orion"] is None
        standing = Standing(2, T0, "503 busy", T0, ((422, 3),))
        assert house.store.note("orion", orionstanding.text(standing))
        of = replace(of, bridge=replace(of.bridge, orion=settings.Orion("http://127.0.0.1:1026")))
        told = client(of, "viewer").get("/api/v1/health").json()["orion"]
    assert (told["waiting"], told["reason"], told["refused"]) == (2, "503 busy", {"422": 3})
    assert told["since"] == told["answered"] == "2025-11-24T16:00:00.000Z"

"""Bulletins on the board, and whether they are received."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway import bulletinstanding, settings
from gateway.bulletinstanding import Standing
from gateway.journal import Entry, Kind
from gateway.web import boards
from gateway.web.site import Site
from tests.test_cli_journal import MINUTE, T0, House
from tests.website import client, site


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path) as found:
        yield found


def asked(of: Site, path: str) -> Any:
    r = client(of, "operator").get(f"/api/v1/{path}")
    assert r.status_code == 200, r.text
    return r.json()


def received(number: int, minutes: float, text: str, tenant: str = "takamatsu", **more: object) -> Entry:
    """As the reader of bulletins hands it over."""
    at_ms = T0 + round(minutes * MINUTE)
    of = {"line": "flood / 1", "short": text, "headline": "h", "over": False, "document": f"d{number}",
          "updated_ms": at_ms, "reported_ms": at_ms}  # fmt: skip
    drill = {"drill": True} if more.pop("drill", False) else {}
    body: dict[str, object] = {"what": "bulletin", "text": f"{text} h", "received": of | more} | drill
    return Entry(at_ms, Kind.BULLETIN, tenant, by="高松地方気象台", body=body)


def write(house: House, *rows: Entry) -> None:
    work = house.work(100)
    work.entries += rows
    house.write(work)


def test_the_newest_issue_of_each(house: House) -> None:
    """Of what is said anew the newest; of two tenants' one for whoever sees both; a drill and a lifted one say so."""
    write(
        house,
        received(1, 10, "レベル３氾濫警報"),
        received(2, 20, "レベル４氾濫危険警報"),
        received(2, 20, "レベル４氾濫危険警報", "miki"),
        received(3, 30, "大雨警報（解除）", line="rain", over=True),
        received(4, 31, "大雨警報", line="rain drill", drill=True),
        received(5, 32, "三木町だけ", "miki", line="miki"),
    )
    house.asks(101, "journal.add", kind="order", text="避難指示　北部", by="市長")
    found = asked(site(house, 121), "board")["bulletins"]
    assert [(x["ja"], x["source"], x["over"], x["drill"]) for x in found] == [
        ("避難指示　北部", "entered", False, False),
        ("三木町だけ", "received", False, False),
        ("大雨警報", "received", False, True),
        ("大雨警報（解除）", "received", True, False),
        ("レベル４氾濫危険警報", "received", False, False),
    ]
    assert found[-1]["headline"] == "h"


def test_an_order_stays_however_many_bulletins_came_after_it(house: House) -> None:
    """What the mayor ordered is not pushed out by what an agency says often."""
    house.asks(10, "journal.add", kind="order", text="避難指示　北部", by="市長")
    write(house, *(received(n, 20 + n / 100, f"b{n}", line=str(n)) for n in range(60)))
    found = asked(site(house, 121), "board")["bulletins"]
    assert len(found) == boards.SHOWN + 1
    assert found[-1]["ja"] == "避難指示　北部"


def test_whether_bulletins_are_received(house: House) -> None:
    """Nobody reads a feed; never heard; heard; heard too long ago to say that there is no newer one."""
    of = site(house, 121)
    assert (asked(of, "board")["feed"], asked(of, "health")["bulletins"]) == (None, None)
    feed = settings.Bulletins("http://127.0.0.1:1/x", "", ("高松",), (), {"高松市": ""})
    assert house.store is not None
    told = []
    for heard in (None, 120, 110):
        if heard is not None:
            standing = Standing(heard_ms=T0 + heard * MINUTE, updated_ms=T0, fates={"shown": 2})
            assert house.store.note("bulletins", bulletinstanding.text(standing))
        at = replace(of, bridge=replace(of.bridge, bulletins=feed))
        board, health = asked(at, "board")["feed"], asked(at, "health")["bulletins"]
        told.append((board["heard"] is not None, board["unheard"], health["unheard"], health["fates"]))
    assert told == [(False, True, True, {}), (True, False, False, {"shown": 2}), (True, True, True, {"shown": 2})]

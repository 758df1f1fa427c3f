"""The page's tests stand on recorded answers; here each is held against what the interface really gives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests import pagedeeds, pagenight
from tests.test_cli_journal import STATION, House
from tests.website import client, site

Json = dict[str, Any]
PLACE = f"stations/takamatsu/{STATION}"


@pytest.fixture(scope="module")
def to(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A river that has risen to its danger level, asked by an operator."""
    with House(tmp_path_factory.mktemp("house")) as house:
        for n in range(13):
            house.reads(10.0 * n, 1.0 + n / 6)
        yield client(site(house, 121), "operator")


def real(to: TestClient, path: str) -> Json:
    answer = to.get(f"/api/v1/{path}")
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def fits(recorded: Any, given: Any, at: str = "") -> None:
    """Every key that was recorded is given too, of the same kind where both have a value."""
    if recorded is None or given is None:
        return
    if isinstance(recorded, dict):
        assert isinstance(given, dict), at
        assert recorded.keys() <= given.keys(), f"{at}: {recorded.keys() - given.keys()}"
        for key, value in recorded.items():
            fits(value, given[key], f"{at}.{key}")
    elif isinstance(recorded, list):
        assert isinstance(given, list), at
        if recorded and given:
            fits(recorded[0], given[0], f"{at}[0]")
    else:
        numbers = isinstance(recorded, int | float) and isinstance(given, int | float)
        assert numbers or type(recorded) is type(given), f"{at}: {recorded!r}, {given!r}"


def test_the_configuration(to: TestClient) -> None:
    """What the page draws itself by."""
    recorded = pagenight.config() | {"tiles": {"url": "x", "attribution": "x"}, "login": {"password": True}}
    given = real(to, "config")
    fits(recorded | {"zoom": None}, given | {"zoom": None})


def test_the_board(to: TestClient) -> None:
    """Stations, episodes with who is called, suspensions, bulletins."""
    recorded, given = pagenight.night(), real(to, "board")
    fits(recorded | {"bulletins": []}, given)
    rung = recorded["episodes"][0]["calling"]
    fits(rung, given["episodes"][0]["calling"])


def test_the_station(to: TestClient) -> None:
    """Channels with thresholds, what it is, how it stands."""
    recorded = pagedeeds.kasuga()
    recorded["channels"] = recorded["channels"][:1]
    fits(recorded, real(to, PLACE))


def test_the_series(to: TestClient) -> None:
    """Points as [ms, value, flag, least, greatest]; gaps as [ms, ms, why]."""
    given = real(to, f"{PLACE}/channels/water_level/series?points=300")
    recorded = pagedeeds.series({"from": pagenight.ago(1440), "to": pagenight.ago(0), "points": "300"})
    fits(recorded, given)
    assert len(recorded["points"][0]) == len(given["points"][0]) == 5


def test_what_was_told(to: TestClient) -> None:
    """An episode with its steps and who was told."""
    episode = real(to, "board")["episodes"][0]
    given = real(to, f"episodes/takamatsu/{episode['episode']}")
    recorded = pagedeeds.told()
    recorded["episode"]["calling"] = None
    fits(recorded, given)
    assert given["changes"]


@pytest.mark.parametrize("name", ["journal", "devices", "letters", "health", "outlines", "moving.geojson", "episodes"])
def test_the_other_answers(to: TestClient, name: str) -> None:
    """Lists of the chronology, devices, dead letters; health."""
    recorded = pagedeeds.answers()[name]
    if name == "episodes":  # of closed ones, which also say when; here one that is open
        del recorded["episodes"][0]["closed"]
    if name == "letters":
        recorded["codes"] = {}
    if name == "devices":
        for device in recorded["devices"]:
            device["health"] = {}
    fits(recorded, real(to, name))

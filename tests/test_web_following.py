"""The page goes by the configuration as it stands, and stays with the former one where it is wrong."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway import config, settings, websettings
from gateway.stations import Registry
from gateway.web.following import Follower
from gateway.web.serving import Server
from gateway.web.site import Site
from tests import webaccounts, website
from tests.test_cli_journal import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path) as found:
        yield found


def changed(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new))
    at = path.stat().st_mtime_ns + 10_000_000
    os.utime(path, ns=(at, at))


def test_what_changes_is_shown(house: House) -> None:
    """A new name is there at the next look; a mistake changes nothing, and its mending does."""
    sites: list[Site] = []
    follower = Follower(website.site(house, loopback_operator=True), config.load_web, sites.append)
    assert not follower.look()
    stations = house.folder / "stations.yaml"
    changed(stations, "春日橋", "新春日橋")
    assert follower.look()
    assert sites[-1].registry.stations["takamatsu", "kasuga-bridge"].name_ja == "新春日橋"
    assert sites[-1].web.loopback_operator, "what no file says stays"
    changed(stations, "datum: T.P.", "datun: T.P.")
    assert not follower.look()
    changed(stations, "datun", "datum")
    assert follower.look()


def test_what_is_fixed(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """An address cannot change under those who use it."""
    follower = Follower(website.site(house), config.load_web, lambda _: pytest.fail("swapped"))
    website.add_web(house.folder, "listen: {port: 9999}\npath: /flood\n")
    assert not follower.look()
    assert "listen, path changed, which is fixed while the page runs" in caplog.text


def test_a_folder_that_cannot_be_looked_at(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """Is told once, and followed again when it can be."""
    sites: list[Site] = []
    broken = True

    def load(folder: Path) -> tuple[websettings.Web, settings.Bridge, Registry]:
        if broken:
            raise OSError(5, "Input/output error")
        return config.load_web(folder)

    follower = Follower(website.site(house), load, sites.append)
    changed(house.folder / "stations.yaml", "春日橋", "新春日橋")
    for _ in range(3):
        follower.once()
    assert len([r for r in caplog.records if "cannot be looked at (OSError" in r.getMessage()]) == 1
    broken = False
    follower.once()
    assert sites[-1].registry.stations["takamatsu", "kasuga-bridge"].name_ja == "新春日橋"


def test_another_provider_lets_in_anew(house: House) -> None:
    """Who was let in by the provider before is no longer signed in once web.yaml names another."""
    known = webaccounts.accounts(house.folder)
    of = replace(website.site(house), accounts=known)
    who = website.Who("sato@one", website.Role.VIEWER, None, "session")
    text = known.admit(who, "https://one.example", "192.0.2.7").text
    server = Server(of, 0)
    issuer = websettings.Oidc("https://one.example", "suimon", None)
    server._swap(replace(of, web=replace(of.web, oidc=issuer)))
    assert known.session(text) is not None
    server._swap(replace(of, web=replace(of.web, oidc=replace(issuer, issuer="https://two.example"))))
    assert known.session(text) is None
    known.close()


def edited(of: Site) -> bool:
    board = website.client(of, "viewer").get("/api/v1/board").json()
    found: bool = board["configuration"]["edited"]
    return found


def test_thresholds_are_those_that_the_bridge_judges_by(house: House) -> None:
    """An edit is said at once and shown once the bridge has it in force; what is only the page's own is shown."""
    assert house.store is not None
    first = website.site(house)
    assert house.store.judge_by(first.registry.digest(), 1_764_000_000_000)
    assert not edited(first)
    sites: list[Site] = []
    follower = Follower(first, config.load_web, sites.append)
    stations = house.folder / "stations.yaml"
    changed(stations, "danger: {value: 3.00 m", "danger: {value: 3.50 m")
    website.add_web(house.folder, "title: {ja: 新しい題, en: New}\n")
    assert follower.look()
    assert not follower.look(), "it waits"

    def danger(of: Site) -> float:
        channels = of.registry.stations["takamatsu", "kasuga-bridge"].channels
        return next(x.value for x in channels["water_level"].thresholds if x.level == "danger")

    assert (danger(sites[-1]), sites[-1].web.title_en, edited(sites[-1])) == (3.0, "New", True)
    _, registry = config.load_bridge(house.folder)
    assert house.store.judge_by(registry.digest(), 1_764_000_060_000)
    assert follower.look()
    assert (danger(sites[-1]), edited(sites[-1])) == (3.5, False)
    late = website.site(house)
    changed(stations, "danger: {value: 3.50 m", "danger: {value: 3.60 m")
    later = website.site(house)
    assert (edited(late), edited(later)) == (False, True), "a page that began after the edit says it too"
    follower = Follower(later, config.load_web, sites.append)
    changed(stations, "danger: {value: 3.60 m", "danger: {value: 3.50 m")
    assert follower.look()
    assert (danger(sites[-1]), edited(sites[-1])) == (3.5, False), "taken back"

"""The page goes by the configuration as it stands, and stays with the former one where it is wrong."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import config
from gateway.web.following import Follower
from gateway.web.site import Site
from tests import website
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

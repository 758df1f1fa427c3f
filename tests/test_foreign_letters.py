"""Dead letters of devices of others, once more: by their source as it is now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway import config
from gateway.cli.main import app
from gateway.model import Message
from tests.test_requests import Bridge
from tests.test_sources import SOURCES, T0, UP, folder, uplink


class House(Bridge):
    """The bridge of a folder with sources, which may be edited between two starts."""

    def __init__(self, place: Path) -> None:
        self.place = place
        super().__init__(folder(place, "".join(SOURCES.values())))
        self.reread()

    def reread(self, old: str = "", new: str = "") -> None:
        """Started anew, with a change in either file."""
        for name in ("stations.yaml", "bridge.yaml"):
            path = self.place / name
            path.write_text(path.read_text().replace(old, new) if old else path.read_text())
        loaded, registry = config.load_bridge(self.place)
        self.settings = replace(loaded, store=self.path)
        self.restart(registry)

    def stored(self) -> list[tuple[object, ...]]:
        return self.rows("SELECT observed_ms, round(value, 3) FROM observations ORDER BY observed_ms")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    built = House(tmp_path)
    yield built
    built.store.close()


def test_a_device_that_is_entered_later(house: House) -> None:
    """What it said before is taken by the normal way, once, and its number is known; metrics count it as replayed."""
    house.reread("device: a84041f0d1827e3c", "device: another")
    house.take(Message(UP, uplink(7, 1000, T0), T0), Message(UP, uplink(8, 1100, T0 + 60_000), T0 + 60_000))
    assert [x.code for x in house.letters()] == ["unknown_device"] * 2
    assert house.replay()["again"] == {"unknown_device": 2}
    assert len(house.letters()) == 2
    house.reread("device: another", "device: a84041f0d1827e3c")
    answer = house.replay()
    assert (answer["letters"], answer["stored"], answer["again"], answer["cannot"]) == (2, 2, {}, {})
    assert (house.stored(), house.letters()) == ([(T0, 5.0), (T0 + 60_000, 4.9)], [])
    assert house.take(Message(UP, uplink(8, 1100, T0 + 60_000), T0 + 60_000)).counts["duplicate"] == 1


def test_a_source_that_was_mistaken(house: House) -> None:
    """A topic that no source took, and a form that was another, are letters that wait for their source."""
    house.take(Message("wells/esp-tank", b'[{"n":"urn:dev:x:level","u":"m","v":0.5,"bt":1790000000}]', T0))
    assert house.replay()["cannot"] == {"its topic is not one of the wire contract": 1}
    house.reread("topic: senml/{device}", "topic: wells/{device}")
    assert house.replay()["stored"] == 1
    assert house.stored() == [(T0, 0.5)]
    house.take(Message("wells/esp-tank", b"{", T0))
    assert house.replay()["again"] == {"bad_uplink": 1}
    assert [x.code for x in house.letters()] == ["bad_uplink"]


def test_a_record_that_was_refused(house: House) -> None:
    """One whose time lay ahead is taken when that time has come."""
    house.future_ms = T0
    house.take(Message(UP, uplink(7, 1000, T0 + 600_000), T0))
    assert [x.code for x in house.letters()] == ["time_future"]
    house.future_ms = T0 + 900_000
    assert house.replay()["stored"] == 1
    assert house.stored() == [(T0 + 600_000, 5.0)]


def test_explain_says_whether_it_would_be_taken(house: House) -> None:
    """By the configuration as it is now, without a trace."""
    house.reread("device: a84041f0d1827e3c", "device: another")
    house.take(Message(UP, uplink(7, 1000, T0), T0))
    path = house.place / "bridge.yaml"
    path.write_text(path.read_text().replace("sources:", f"store: {{path: {house.path}}}\nsources:", 1))
    told = CliRunner().invoke(app, ["letters", "explain", "1", "--config", str(house.place)]).output
    assert "it would still be rejected" in told
    assert "unknown_device" in told
    stations = house.place / "stations.yaml"
    stations.write_text(stations.read_text().replace("device: another", "device: a84041f0d1827e3c"))
    told = CliRunner().invoke(app, ["letters", "explain", "1", "--config", str(house.place)]).output
    assert "it would be accepted: 1 value" in told

"""`cap` in bridge.yaml: what it comes to, and what is said of each mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway import config, processfile, settings, yamlfile

GOOD = (Path(__file__).parent / "configs" / "nothing-wrong" / "bridge.yaml").read_text()
FOLDER = Path(__file__).parent / "configs" / "nothing-wrong"
WHOLE = """cap:
  folder: served/cap
  sender: flood@city.takamatsu.example
  sender_name: {ja: 高松市危機管理課, en: Takamatsu City}
  scope: public
  contact: 087-000-0000
  url: https://flood.example/cap/
  radius: 1500 m
  areas:
    東部: [[34.30, 134.00], [34.30, 134.10], [34.35, 134.10]]
"""


def read(text: str) -> tuple[settings.Cap | None, list[str]]:
    document = yamlfile.parse(f"{GOOD}{text}".encode(), "bridge.yaml")
    found = processfile.bridge(document, FOLDER, config.level_tables())
    return found.cap if found else None, [p.message for p in document.problems]


def test_what_it_comes_to() -> None:
    """Paths are the configuration's, lengths kilometres; what is left out has defaults; without it nothing is made."""
    found, told = read(WHOLE)
    assert told == []
    corners = ((34.30, 134.00), (34.30, 134.10), (34.35, 134.10))
    assert found == settings.Cap(
        FOLDER / "served/cap", "flood@city.takamatsu.example", "高松市危機管理課", "Takamatsu City", "Public",
        contact="087-000-0000", url="https://flood.example/cap", radius_km=1.5, areas={"東部": corners},
    )  # fmt: skip
    found, told = read("cap: {folder: cap, sender: city.example}\n")
    assert (found, told) == (settings.Cap(FOLDER / "cap", "city.example"), [])
    assert read("") == (None, [])


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("  sender: flood@city.takamatsu.example\n", "", "'sender' is missing. Add for example 'sender: flood@city.ex"),
        ("flood@city.takamatsu.example", "the city", "'the city' holds a space, a comma, '<' or '&'. Write it like"),
        ("scope: public", "scope: private", "'private' is not known (one of restricted, public)"),
        ("1500 m", "1500", "1500 has no unit. Did you mean '1500 m'?"),
        ("1500 m", "0 m", "0 m is no radius around a gauge. Write for example '1000 m'"),
        ("1500 m", "101000 m", "101000 m is no radius around a gauge"),
        ("[[34.30, 134.00], ", "[", "this is no outline. Write at least three corners"),
        ("[34.35, 134.10]]", "[134.10, 34.35]]", "latitude comes first. Did you mean [34.35, 134.1]?"),
        ("[34.35, 134.10]]", "north]", "this is no outline"),
        ("contact:", "contacts:", "unknown key 'contacts'. Did you mean 'contact'?"),
        ("https://flood.example/cap/", "flood.example", "'flood.example' is not a URL"),
    ],
)
def test_mistake(old: str, new: str, expected: str) -> None:
    """Each is told once, with what would be right, and nothing is published by a configuration with mistakes."""
    assert WHOLE.count(old) == 1
    found, told = read(WHOLE.replace(old, new))
    assert found is None
    assert len(told) == 1
    assert expected in told[0]

"""Whole nights, told in virtual time: every ring is wanted, every wanted one comes. The language stands in
`nights/story.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway import journalfile, storefile
from gateway.journal import Kind
from tests import capxml
from tests.nights.story import Story, Want, clock, read
from tests.nights.telling import Telling, Told

NIGHTS = sorted((Path(__file__).parent / "nights").glob("*.txt"))


def fits(want: Want, told: Told) -> bool:
    text = told.handed.text
    return (
        want.start <= told.minute <= want.end
        and want.rings == told.handed.rings
        and (want.recipient == told.handed.recipient)
        and all(word in text for word in want.words)
    )


def unwanted(story: Story, told: list[Told]) -> list[str]:
    """What should have come and did not, and rings that nobody wanted. Each want takes the first that fits."""
    left = list(told)
    missing = []
    for want in story.wants:
        found = next((t for t in left if fits(want, t)), None)
        if found is None:
            missing.append(f"missing: {want}")
        else:
            left.remove(found)
    return missing + [f"unwanted: {t}" for t in left if t.handed.rings]


def recorded(store: Path) -> None:
    """The journal of the night is one chain with every transition in it once; what was published is valid, one chain
    for each episode, and ended with it."""
    assert isinstance(journalfile.verify(store), tuple)
    told = [x.facts["key"] for x in journalfile.rows(store) if x.kind == Kind.TRANSITION]
    assert sorted(told) == sorted(key for (key,) in storefile.rows(store, "SELECT key FROM transitions"))
    chains: dict[str, list[capxml.Document]] = {}
    for chain, text in storefile.rows(store, "SELECT chain, document FROM cap ORDER BY id"):
        chains.setdefault(chain, []).append(capxml.read(text))
    for chain, documents in chains.items():
        assert list(capxml.chained(documents))
        (open_,) = storefile.rows(store, "SELECT closed_ms IS NULL FROM episodes WHERE id = ?", (chain,))
        ends = storefile.rows(store, "SELECT ends FROM cap WHERE chain = ? ORDER BY id", (chain,))
        assert [x[0] for x in ends] == [0] * (len(ends) - 1) + [1 - open_[0]]


@pytest.mark.parametrize("path", NIGHTS, ids=lambda path: path.stem)
def test_night(path: Path, tmp_path: Path) -> None:
    """Exactly the wanted rings come, at their time and to their people, and the states between them are as told."""
    story = read(path)
    telling = Telling(story, tmp_path)
    telling.run()
    everything = "\n".join(map(str, telling.told))
    assert telling.wrong + unwanted(story, telling.told) == [], everything
    assert all(minute - 1 in story.kills for minute in telling.second_deliveries)
    recorded(telling.duty.path)
    for words in story.nevers:
        spoken = [clock(t.minute) for t in telling.told if words in t.handed.text]
        assert not spoken, f"{words!r} was said at {spoken}"


def test_there_are_nights() -> None:
    """The folder was found, and each night wants something, or refuses it."""
    assert len(NIGHTS) >= 1
    assert all(read(path).wants or read(path).nevers for path in NIGHTS)

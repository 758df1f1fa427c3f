"""The CAP folder: the store's documents as files, a feed that names them, and what happens when it is not there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from gateway import settings
from gateway.bridge.capfeed import FEED, FILES_MS, Feed
from gateway.bridge.service import Service
from gateway.bridge.work import Work
from gateway.capatom import LISTED_MS
from gateway.clock import SystemClock
from gateway.errors import NoticeCode
from gateway.model import Change
from tests import capxml, world
from tests.servers import wait_for
from tests.test_cap import HOUR, SENDER, City

ATOM = {"a": "http://www.w3.org/2005/Atom"}


class Served:
    """A city and the folder that its feed is written to."""

    def __init__(self, folder: Path, **more: Any) -> None:
        self.folder = folder / "served"
        self.city = City(folder, settings.Cap(self.folder, SENDER, **more))
        self.feed = Feed(self.city.to, self.city.path, lambda: self.city.now_ms, backoff_s=(0.02,))

    def files(self) -> list[str]:
        return sorted(x.name for x in self.folder.iterdir())

    def entries(self) -> list[dict[str, str]]:
        """Title, link and terms of each entry, of a feed that has what RFC 4287 asks for."""
        root = etree.fromstring((self.folder / FEED).read_bytes())
        assert all(root.find(f"a:{x}", ATOM) is not None for x in ("id", "title", "updated", "author/a:name"))
        out = []
        for e in root.findall("a:entry", ATOM):
            texts = {x: e.find(f"a:{x}", ATOM).text for x in ("id", "title", "updated", "summary")}
            assert texts["id"].startswith("urn:uuid:")
            assert capxml.TIME.fullmatch(texts["updated"])
            link = e.find("a:link", ATOM)
            assert link.get("type") == "application/cap+xml"
            terms = ",".join(x.get("term") for x in e.findall("a:category", ATOM))
            out.append(texts | {"href": link.get("href"), "terms": terms})
        assert len({x["id"] for x in out}) == len(out)
        return out


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    found = Served(tmp_path, url="https://flood.example/cap")
    yield found
    found.feed.stop()
    found.city.store.close()


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_the_folder_is_what_the_store_says(served: Served) -> None:
    """Each message a file, newest first in the feed; the file is the document, byte for byte."""
    served.city.happens(Change.RISE, 0, 2)
    served.city.happens(Change.RISE, 2, 4)
    served.feed.mirror()
    entries = served.entries()
    assert [x["terms"] for x in entries] == ["Actual,Update,Restricted", "Actual,Alert,Restricted"]
    assert {Path(x["href"]).name for x in entries} == set(served.files()) - {FEED}
    for entry, document in zip(entries, reversed(served.city.documents), strict=True):
        found = capxml.read((served.folder / Path(entry["href"]).name).read_text())
        assert found.reference == document.reference
        assert entry["href"].startswith("https://flood.example/cap/suimon.")
        assert entry["title"] == document.ja("headline")


def test_an_empty_feed_is_a_feed(served: Served) -> None:
    """Whoever reads it before the first alert finds a feed without entries, not an error."""
    served.feed.mirror()
    assert served.entries() == []


def test_what_is_restricted_is_not_for_everybody(tmp_path: Path, served: Served) -> None:
    """Owner and group alone, whatever the umask is; a public feed is for all."""
    before = os.umask(0)
    try:
        served.city.happens(Change.RISE, 0, 4)
        served.feed.mirror()
        assert {mode(served.folder / x) for x in served.files()} == {0o640}
        public = Served(tmp_path / "public", scope="Public")
        os.umask(0o077)
        public.city.happens(Change.RISE, 0, 4)
        public.feed.mirror()
        assert {mode(public.folder / x) for x in public.files()} == {0o644}
        public.city.store.close()
    finally:
        os.umask(before)


def test_a_drill_cannot_be_mistaken_in_the_feed(served: Served) -> None:
    """Marked at both ends of the title, and a category of its own."""
    served.city.happens(Change.RISE, 0, 4, drill=True)
    served.feed.mirror()
    (entry,) = served.entries()
    assert entry["terms"].startswith("Exercise,")
    for text in (entry["title"], entry["summary"]):
        assert text.startswith("【訓練】")
        assert text.endswith("【訓練】")


def test_what_has_ended_stays_for_two_days(served: Served) -> None:
    """Then it leaves the feed; its file stays a month for whoever still refers to it, files of others for ever."""
    served.city.happens(Change.RISE, 0, 2)
    served.city.ends()
    served.feed.mirror()
    (served.folder / "readme.txt").write_text("of others")
    served.city.now_ms += LISTED_MS - 1000
    served.feed.mirror()
    assert len(served.entries()) == 1
    served.city.now_ms += 2000
    served.feed.mirror()
    assert (served.entries(), len(served.files())) == ([], 4)
    for name in served.files():
        os.utime(served.folder / name, (served.city.now_ms / 1000 - FILES_MS / 1000 - 1,) * 2)
    served.feed.mirror()
    assert served.files() == [FEED, "readme.txt"]


def test_a_file_that_was_removed_or_changed_comes_back(served: Served) -> None:
    """After a restart every document of the feed is as the store has it; what is missing comes back at once."""
    served.city.happens(Change.RISE, 0, 4)
    served.feed.mirror()
    (name,) = set(served.files()) - {FEED}
    before = (served.folder / name).read_bytes()
    (served.folder / name).unlink()
    served.feed.mirror()
    assert (served.folder / name).read_bytes() == before
    (served.folder / name).write_bytes(b"torn")
    (served.folder / f".{name}.new").write_bytes(b"left over by a power cut")
    Feed(served.city.to, served.city.path, lambda: served.city.now_ms).mirror()
    assert (served.folder / name).read_bytes() == before
    assert len(served.files()) == 2


def test_the_same_again_writes_nothing(served: Served) -> None:
    """A folder that is right is left alone, so that who polls it sees no change."""
    served.city.happens(Change.RISE, 0, 4)
    served.feed.mirror()
    before = {x: (served.folder / x).stat().st_ino for x in served.files()}
    served.city.now_ms += HOUR
    served.feed.mirror()
    assert {x: (served.folder / x).stat().st_ino for x in served.files()} == before


def test_a_bridge_keeps_the_folder_and_says_when_it_cannot(tmp_path: Path) -> None:
    """A reading that crosses a level is in the folder after its commit; a folder that stays away becomes a notice."""
    to = settings.Cap(tmp_path / "served", SENDER)
    service = Service(world.bridge(tmp_path / "store.db", cap=to), world.registry(), SystemClock())
    assert service._outlets.feed is not None
    try:
        work = Work(service._memory, service._rules())
        now = work.rules.now_ms
        work.observe([world.observation(i, 2.2, observed_ms=now - 9000 + i, received_ms=now) for i in range(3)])
        service._write(work)
        service._outlets.feed.start()
        wait_for("the feed", lambda: (to.folder / FEED).exists())
        assert "氾濫注意水位を超過" in (to.folder / FEED).read_text()
        assert list(to.folder.glob("suimon.*.rise-0-2.*.xml"))
        service._outlets.feed.failing = "No space left on device"
        work = Work(service._memory, service._rules())
        service._conditions(work)
        waiting = service._memory.pending[(NoticeCode.CAP_WAITS, "", "")]
        assert (waiting.on, waiting.detail) == (True, "No space left on device")
    finally:
        service._outlets.feed.stop()
        service._store.close()


def test_a_folder_that_is_not_there_is_waited_for(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    """The bridge goes on; when the folder can be written again the feed is whole. Told once, and at its end."""
    caplog.set_level("INFO")
    served.folder.write_text("a file where the folder should be")
    served.feed.start()
    served.city.happens(Change.RISE, 0, 4)
    served.feed.wake()
    wait_for("the failure", lambda: served.feed.failing is not None)
    served.folder.unlink()
    wait_for("the feed", lambda: served.folder.is_dir() and (served.folder / FEED).exists())
    wait_for("the end", lambda: served.feed.failing is None)
    assert len(served.entries()) == 1
    served.city.happens(Change.FALL, 4, 0)
    served.feed.wake()
    wait_for("the next message", lambda: len(served.entries()) == 2)
    assert [r.levelname for r in caplog.records if "CAP feed" in r.message] == ["ERROR", "INFO"]

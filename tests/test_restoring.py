"""A restored backup: readings go back, the journal does not."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway import journalfile, restoring, storefile
from gateway.bridge.handing import Handing
from gateway.bridge.store import Store
from gateway.cli.main import app
from gateway.journal import Kind
from gateway.model import Change
from tests import readme
from tests.test_cap import City
from tests.test_journal import SAID, Desk
from tests.world import T0


def restored(desk: Desk, backup: Path) -> None:
    storefile.restore(backup, desk.path, finish=lambda db: restoring.finish(db, desk.path, T0 + 9))
    desk.store = Store(desk.path)
    desk.memory = desk.store.load()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    found = Desk(tmp_path / "store.db")
    found.say(SAID, SAID)
    return found


@pytest.mark.parametrize("later", [0, 3])
def test_the_journal_goes_on(desk: Desk, tmp_path: Path, later: int) -> None:
    """What was recorded after the backup is carried over row by row, and that it was restored is a row of its own."""
    storefile.backup(desk.path, tmp_path / "backup.db")
    for _ in range(later):
        desk.say(SAID)
    before = desk.rows()
    desk.store.close()
    restored(desk, tmp_path / "backup.db")
    after = desk.rows()
    assert after[:-1] == before
    assert (after[-1].kind, after[-1].facts) == (Kind.STORE, {"action": "restored", "carried": later})
    desk.say(SAID)
    assert journalfile.verify(desk.path) == (desk.rows()[-1].hash, 4 + later)
    desk.store.close()


def test_another_journal_is_not_mixed_in(desk: Desk, tmp_path: Path) -> None:
    """A backup of another store brings its own journal; that of the former stays in the file that is kept."""
    other = Desk(tmp_path / "other.db")
    other.say(SAID, at_ms=T0 + 5)
    storefile.backup(other.path, tmp_path / "backup.db")
    other.store.close()
    desk.store.close()
    restored(desk, tmp_path / "backup.db")
    assert [x.recorded_ms - T0 for x in desk.rows()] == [5, 9]
    assert isinstance(journalfile.verify(desk.path), tuple)
    (kept,) = tmp_path.glob("store.db.before-restore-*Z")
    assert len(list(journalfile.rows(kept))) == 2
    desk.store.close()


def test_a_damaged_store_gives_what_the_backup_has(desk: Desk, tmp_path: Path) -> None:
    """Where the former store cannot be read, the backup's journal goes on."""
    storefile.backup(desk.path, tmp_path / "backup.db")
    desk.say(SAID)
    desk.store.close()
    desk.path.write_bytes(b"no database" * 500)
    restored(desk, tmp_path / "backup.db")
    assert [x.kind for x in desk.rows()] == [Kind.MANUAL, Kind.MANUAL, Kind.STORE]
    desk.store.close()


def test_what_was_published_stays_published(tmp_path: Path) -> None:
    """A transition that is decided once more after a restore has the document that it had."""
    city = City(tmp_path)
    city.happens(Change.RISE, 0, 3)
    storefile.backup(city.path, tmp_path / "backup.db")
    city.happens(Change.RISE, 3, 4)
    before = storefile.rows(city.path, "SELECT document FROM cap ORDER BY id")
    city.store.close()
    storefile.restore(tmp_path / "backup.db", city.path, finish=lambda db: restoring.finish(db, city.path, T0))
    city.store = Store(city.path)
    city.memory = city.store.load()
    city.now_ms -= 60_000
    at_ms = city.now_ms + 60_000 - 500
    city.happens(Change.RISE, 3, 4, at_ms=at_ms)
    assert storefile.rows(city.path, "SELECT document FROM cap ORDER BY id") == before
    assert len(city.documents) == 2
    city.store.close()


def test_the_command(tmp_path: Path) -> None:
    """`suimon bridge restore` keeps the journal; a backup of before there was one is restored as it is."""
    folder = readme.write_configuration(tmp_path)
    path = folder / "store.db"

    def suimon(*words: str) -> None:
        done = CliRunner().invoke(app, ["bridge", *words, "--config", str(folder)])
        assert done.exit_code == 0, done.output

    desk = Desk(path)
    desk.say(SAID)
    suimon("backup", str(tmp_path / "backup.db"))
    desk.say(SAID)
    desk.store.close()
    Handing.beside(path).begin(7)
    suimon("restore", str(tmp_path / "backup.db"))
    assert Handing.beside(path).begun == {}  # the numbers of the former store mean nothing in this one
    assert [x.kind for x in journalfile.rows(path)] == [Kind.MANUAL, Kind.MANUAL, Kind.STORE]
    old = tmp_path / "old.db"
    with sqlite3.connect(old) as db:
        db.executescript(f"{storefile.SCHEMA} PRAGMA user_version = 1;")
    db.close()
    suimon("restore", str(old))
    Store(path).close()
    assert list(journalfile.rows(path)) == []

"""A backup of the accounts and its restore, also under a page that runs."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.bridge.store import Store
from gateway.cli.main import app
from gateway.errors import Unavailable
from gateway.web import accountcopy, accountschema
from gateway.web.accounts import Accounts, Refused, Session
from tests.test_cli_alert import BRIDGE, STATIONS
from tests.webaccounts import BY, HERE, PASSWORD, Turned, accounts, quick, signed_in


def lets_in(known: Accounts, name: str, password: str = PASSWORD) -> bool:
    return isinstance(known.login(name, password, HERE), Session)


def test_what_was_taken_away_since_stays_so(tmp_path: Path) -> None:
    """A running page sees the accounts of the backup at once; whoever was signed in does so again; what was revoked or
    disabled after the backup stays so, and the audit has every row."""
    clock, path, copy = Turned(), tmp_path / "web.db", tmp_path / "copy.db"
    known = accounts(tmp_path, clock)
    good, bad = (known.tokens.make("viewer", "read", 30, BY) for _ in range(2))
    accountcopy.backup(path, copy)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    session = signed_in(known)
    known.tokens.revoke(bad[1].id, BY)
    known.members.change("elsewhere", BY, disabled=True)
    known.members.set_password("operator", "another good password", BY)
    before = known.audit.rows()
    kept = accountcopy.restore(copy, path, BY, clock)
    assert lets_in(known, "operator"), "with the password of the backup"
    assert known.session(session) is None
    assert known.token(good[0]) is not None
    assert known.token(bad[0]) is None
    assert not lets_in(known, "elsewhere")
    rows = known.audit.rows()
    assert rows[-len(before) :] == before
    assert rows[-len(before) - 1].what == "accounts.restore"
    assert kept is not None
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    known.close()
    former = Accounts(kept, clock, quick())
    assert lets_in(former, "operator", "another good password")
    former.close()


@pytest.mark.parametrize("there", ["", "damaged", "empty"])
def test_where_there_are_none(tmp_path: Path, there: str) -> None:
    """A lost or damaged file, or one that the page has begun anew: the accounts of the backup are there."""
    known = accounts(tmp_path)
    copy, path = tmp_path / "copy.db", tmp_path / "web.db"
    accountcopy.backup(path, copy)
    known.close()
    for part in tmp_path.glob("web.db*"):
        part.unlink()
    if there == "damaged":
        path.write_bytes(b"no database" * 1000)
    elif there == "empty":
        Accounts(path, Turned(), quick()).close()
    assert not accountcopy.has_accounts(path)
    assert (accountcopy.restore(copy, path, BY, Turned()) is None) == (there == "")
    assert accountcopy.has_accounts(path)
    found = Accounts(path, Turned(), quick())
    assert lets_in(found, "operator")
    found.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not list(tmp_path.glob("*.restoring*"))


def test_a_backup_of_an_earlier_version(tmp_path: Path) -> None:
    """Is brought to this one."""
    with sqlite3.connect(tmp_path / "old.db") as db:
        db.executescript(f"{accountschema.SCHEMA} PRAGMA user_version = 1;")
        db.execute("INSERT INTO accounts VALUES ('tanaka', 'Tanaka', NULL, 2, NULL, 0, 1, 1)")
    db.close()
    accountcopy.restore(tmp_path / "old.db", tmp_path / "web.db", BY, Turned())
    found = Accounts(tmp_path / "web.db", Turned(), quick())
    assert [x.name for x in found.members.list()] == ["tanaka"]
    assert found.refusals.rows() == []
    found.close()


@pytest.mark.parametrize("what", ["text", "store", "newer"])
def test_what_is_no_backup_changes_nothing(tmp_path: Path, what: str) -> None:
    """And is told."""
    known, copy = accounts(tmp_path), tmp_path / "copy.db"
    if what == "text":
        copy.write_text("not a database " * 100)
    elif what == "store":
        Store(copy).close()
    else:
        accountcopy.backup(tmp_path / "web.db", copy)
        with sqlite3.connect(copy) as db:
            db.execute("PRAGMA user_version = 99")
        db.close()
    with pytest.raises(Unavailable):
        accountcopy.restore(copy, tmp_path / "web.db", BY, Turned())
    assert lets_in(known, "operator")
    known.close()


def test_the_commands(tmp_path: Path) -> None:
    """One backup has both, one restore brings back what is missing; accounts that are there stay unless asked."""
    (tmp_path / "stations.yaml").write_text(STATIONS)
    (tmp_path / "bridge.yaml").write_text(BRIDGE)
    (tmp_path / "password").write_text(PASSWORD)

    def suimon(*words: str, expect: int = 0) -> str:
        done = CliRunner().invoke(app, [*words, "--config", str(tmp_path)])
        assert done.exit_code == expect, done.output
        return done.output

    Store(tmp_path / "store.db").close()
    backup = str(tmp_path / "b.db")
    assert "web" not in suimon("bridge", "backup", str(tmp_path / "alone.db"))
    assert not (tmp_path / "alone.web.db").exists()
    suimon("web", "user", "add", "tanaka", "--role", "operator", "--password-file", str(tmp_path / "password"))
    suimon("bridge", "backup", backup)
    assert "exists. Name another" in suimon("bridge", "backup", backup, expect=4)
    suimon("web", "user", "add", "sato", "--role", "viewer", "--machine")
    assert "stay as they are; --accounts takes" in suimon("bridge", "restore", backup)
    assert "sato" in suimon("web", "user", "list")
    assert "everybody signs in again; the former is" in suimon("bridge", "restore", backup, "--accounts")
    assert "sato" not in suimon("web", "user", "list")
    assert "accounts.restore" in suimon("web", "audit")
    (tmp_path / "web.db").unlink()
    suimon("bridge", "restore", backup)
    known = Accounts(tmp_path / "web.db", Turned())
    assert not isinstance(known.login("tanaka", PASSWORD, HERE), Refused)
    known.close()
    (tmp_path / "b.web.db").unlink()
    assert "there is no" in suimon("bridge", "restore", backup, "--accounts", expect=4)

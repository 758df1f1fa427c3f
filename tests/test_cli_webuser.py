"""`suimon web user`, `token`, `audit` as an administrator types them on the machine."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway import config
from gateway.cli.main import app
from gateway.clock import SystemClock
from gateway.web.accounts import Accounts, Session
from gateway.web.who import PUBLIC, Role
from tests import terminal
from tests.test_cli_alert import BRIDGE, STATIONS

PASSWORD = "ame ga furu yoru ni"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "stations.yaml").write_text(STATIONS)
    (tmp_path / "bridge.yaml").write_text(BRIDGE)
    (tmp_path / "password").write_text(PASSWORD + "\n")
    return tmp_path


def run(folder: Path, *words: str, given: str | None = None) -> Any:
    return CliRunner().invoke(app, ["web", *words, "--config", str(folder)], input=given)


def did(folder: Path, *words: str) -> str:
    done = run(folder, *words)
    assert done.exit_code == 0, done.output
    return str(done.stdout)


def add(folder: Path, name: str, *more: str) -> str:
    return did(folder, "user", "add", name, "--password-file", str(folder / "password"), *more)


def opened(folder: Path) -> Accounts:
    return Accounts(config.load_web(folder)[0].accounts, SystemClock())


def test_an_account(folder: Path) -> None:
    """Is made, signs in, gets another role, other tenants, another password, is disabled and enabled; the file stands
    beside the bridge's store."""
    assert "viewer, tenants: takamatsu, enabled" in add(folder, "Tanaka", "--role", "viewer", "--tenant", "takamatsu")
    assert (config.load_bridge(folder)[0].store.parent / "web.db").exists()
    known = opened(folder)
    session = known.login("tanaka", PASSWORD, "")
    assert isinstance(session, Session)
    assert (session.who.role, session.who.tenants) == (Role.VIEWER, {"takamatsu"})
    did(folder, "user", "role", "tanaka", "--role", "operator")
    assert (known.members.account("tanaka").role, known.members.account("tanaka").tenants) == (
        Role.OPERATOR, {"takamatsu"}
    )  # fmt: skip
    assert known.session(session.text) is None
    did(folder, "user", "role", "tanaka", "--role", "operator", "--all-tenants")
    assert known.members.account("tanaka").tenants is None
    (folder / "password").write_text("another good password")
    did(folder, "user", "set-password", "tanaka", "--password-file", str(folder / "password"))
    assert isinstance(known.login("tanaka", "another good password", ""), Session)
    assert did(folder, "user", "logout", "tanaka") == "1 session ended\n"
    did(folder, "user", "disable", "tanaka")
    assert not isinstance(known.login("tanaka", "another good password", ""), Session)
    did(folder, "user", "enable", "tanaka")
    assert isinstance(known.login("tanaka", "another good password", ""), Session)
    known.close()


def test_the_list(folder: Path) -> None:
    """In words and for scripts."""
    assert "nobody has an account" in did(folder, "user", "list")
    add(folder, "tanaka", "--role", "administrator", "--display", "田中")
    did(folder, "user", "add", "gis", "--role", "viewer", "--machine", "--tenant", "takamatsu")
    assert [x.split()[:4] for x in did(folder, "user", "list").splitlines()] == [
        ["name", "role", "tenants", "state"],
        ["gis", "viewer", "takamatsu", "machine"],
        ["tanaka", "administrator", "all", "enabled"],
    ]
    first, second = json.loads(did(folder, "user", "list", "--json"))["accounts"]
    assert (first["name"], first["tenants"], first["machine"]) == ("gis", ["takamatsu"], True)
    assert (second["display"], second["role"], second["disabled"]) == ("田中", "administrator", False)


def test_a_token(folder: Path) -> None:
    """Is printed alone on stdout, once; listed by its id; revoked."""
    did(folder, "user", "add", "gis", "--role", "viewer", "--machine")
    text = did(folder, "token", "create", "gis", "--scope", "read", "--days", "90", "--label", "map").removesuffix("\n")
    known = opened(folder)
    who = known.token(text)
    assert who is not None
    assert (who.name, who.role) == ("gis", Role.VIEWER)
    listed = did(folder, "token", "list")
    assert "in force" in listed
    assert "map" in listed
    (row,) = json.loads(did(folder, "token", "list", "gis", "--json"))["tokens"]
    assert text.startswith(f"sui_{row['id']}_")
    assert text[17:] not in listed + json.dumps(row)
    did(folder, "token", "revoke", row["id"])
    assert known.token(text) is None
    assert "revoked" in did(folder, "token", "list")
    known.close()


def test_the_audit(folder: Path) -> None:
    """Who did it here, and what; in words and for scripts."""
    assert did(folder, "audit") == "nothing was done\n"
    add(folder, "tanaka", "--role", "operator")
    assert "account.make" in did(folder, "audit", "--since", "1h")
    (row,) = json.loads(did(folder, "audit", "--json"))["rows"]
    assert (row["via"], row["what"], row["subject"]) == ("cli", "account.make", "tanaka, operator, all tenants")
    assert row["who"]
    assert did(folder, "audit", "--since", "2099-01-01") == "nothing was done\n"
    assert did(folder, "audit", "--refused") == "nobody was refused anything\n"
    found = Accounts(folder / "web.db", SystemClock())
    for _ in range(3):
        found.refuse(PUBLIC, "192.0.2.7", "GET /api/v1/board", "unauthenticated")
    found.close()
    assert "GET /api/v1/board  unauthenticated  3" in did(folder, "audit", "--refused")
    (refusal,) = json.loads(did(folder, "audit", "--refused", "--json"))["rows"]
    assert (refusal["address"], refusal["count"]) == ("192.0.2.7", 3)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["user", "add", "a@b", "--role", "viewer", "--machine"], "a name is 1 to 64 letters"),
        (["user", "add", "x", "--role", "viewer", "--machine", "--tenant", "takamatzu"], "Did you mean 'takamatsu'?"),
        (["user", "add", "x", "--role", "viewer"], "a password is typed at a terminal"),
        (["user", "add", "x", "--role", "viewer", "--password-file", "/nowhere"], "cannot be read"),
        (["user", "add", "x", "--role", "viewer", "--machine", "--password-file", "-"], "a machine has no password"),
        (["user", "disable", "nobody"], "web.db: there is no account 'nobody' (only tanaka). 'suimon web user list'"),
        (["user", "set-password", "tanka"], "there is no account 'tanka'. Did you mean 'tanaka'?"),
        (["user", "logout", "ta\x1bnaka"], "there is no account 'ta\ufffdnaka'"),
        (["user", "add", "tanaka", "--role", "viewer", "--machine"], "'suimon web user role tanaka' changes what they"),
        (["token", "create", "nobody", "--scope", "read", "--days", "1"], "there is no account 'nobody'"),
        (["token", "create", "tanaka", "--scope", "act", "--days", "1"], "--role operator' gives it; or take a lesser"),
        (["token", "list", "tanakka"], "Did you mean 'tanaka'?"),
        (["token", "revoke", "x"], "web.db: no token in force has the id 'x'. 'suimon web token list' shows them"),
        (["token", "revoke", f"sui_0123456789ab_{'s' * 43}"], "has the id '0123456789ab'"),
    ],
)
def test_what_is_refused(folder: Path, words: list[str], why: str) -> None:
    """In a sentence and an exit code."""
    add(folder, "tanaka", "--role", "viewer")
    done = run(folder, *words)
    assert (done.exit_code, why in done.stderr) == (4, True), done.output
    assert "sss" not in done.output


def test_before_anybody_has_an_account(folder: Path) -> None:
    """Whoever names one is told how the first is made."""
    done = run(folder, "user", "disable", "tanaka")
    assert "nobody has an account. 'suimon web user add NAME --role administrator' makes the first" in done.stderr


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"short", "at least 12 characters"),
        (b"", "it holds no lines. Write the password"),
        (b"one line\nand another", "it holds 2 lines"),
        (b"\xff\xfe\x00\x00", "not text in UTF-8"),
    ],
)
def test_password_files(folder: Path, text: bytes, why: str) -> None:
    """Hold the password and nothing else; what they hold is not told."""
    (folder / "password").write_bytes(text)
    done = run(folder, "user", "add", "x", "--role", "viewer", "--password-file", str(folder / "password"))
    assert (done.exit_code, why in done.stderr) == (4, True), done.output
    assert "one line" not in done.output


def test_a_password_from_stdin(folder: Path) -> None:
    """For scripts that have it from elsewhere."""
    done = run(folder, "user", "add", "x", "--role", "viewer", "--password-file", "-", given=f"{PASSWORD}\n")
    assert done.exit_code == 0, done.output
    known = opened(folder)
    assert isinstance(known.login("x", PASSWORD, ""), Session)
    known.close()


@pytest.mark.parametrize(("second", "code"), [(PASSWORD, 0), ("another good password", 1)])
def test_a_password_at_a_terminal(folder: Path, second: str, code: int) -> None:
    """Is asked for twice, and shown by neither the terminal nor the command line."""
    words = [sys.executable, "-m", "gateway", "web", "user", "add", "x", "--role", "viewer", "--config", str(folder)]
    answers = [("Password: ", PASSWORD), ("Once more: ", second)]
    shown = terminal.typed(words, answers + [("Password: ", "\x04")] * code, folder, code)
    assert PASSWORD not in shown
    assert second not in shown
    assert ("they can sign in" in shown) is (code == 0)

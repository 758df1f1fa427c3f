"""Who is who: passwords, sessions, tokens, the audit, how often; and what none of them tells."""

from __future__ import annotations

import logging
import os
import sqlite3
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Unavailable
from gateway.model import ClockState
from gateway.web import accountschema, limits, passwords
from gateway.web.accountrows import DAY_MS, HOUR_MS, Declined, hash_of
from gateway.web.accounts import IDLE_MS, LONGEST_MS, PROVIDED_MS, SESSIONS, Accounts, Refused, Session
from gateway.web.passwords import Passwords
from gateway.web.who import PUBLIC, Role, Who
from tests.webaccounts import BY, HERE, PASSWORD, Turned, accounts, quick, signed_in

WRONG = Refused("wrong")


@pytest.fixture
def clock() -> Turned:
    return Turned()


@pytest.fixture
def known(tmp_path: Path, clock: Turned) -> Iterator[Accounts]:
    found = accounts(tmp_path, clock)
    yield found
    found.close()


# --- signing in ------------------------------------------------------------------------------------------------------


def test_a_session(known: Accounts) -> None:
    """The right password gives a session, which is the person with the role, until it is given up."""
    found = known.login("operator", PASSWORD, HERE)
    assert isinstance(found, Session)
    who = known.session(found.text)
    assert who == found.who
    assert who is not None
    assert (who.name, who.role, who.tenants, who.via) == ("operator", Role.OPERATOR, None, "session")
    known.logout(found.text)
    assert known.session(found.text) is None
    known.logout(found.text)


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("operator", PASSWORD + "x"),
        ("operator", ""),
        ("operator", "x" * 100_000),
        ("operator", "\ud800" * 12),
        ("nobody", PASSWORD),
        ("", PASSWORD),
        ("\ud800", PASSWORD),
        ("operator' OR '1'='1", PASSWORD),
        ("x" * 100_000, PASSWORD),
    ],
)
def test_who_is_not_let_in(known: Accounts, name: str, password: str) -> None:
    """A wrong password and an unknown name get the same answer, whatever is sent."""
    assert known.login(name, password, HERE) == WRONG


def test_names_as_people_type_them(known: Accounts) -> None:
    """A phone's capital letter, full-width letters, a space at the end: the same person, in name and password."""
    known.members.make("Suzuki Aoi", Role.VIEWER, BY, "ｆｕｌｌ　ｗｉｄｔｈ　ｌｅｔｔｅｒｓ")
    for name in ("suzuki aoi", "SUZUKI AOI ", "ｓｕｚｕｋｉ aoi"):
        assert isinstance(known.login(name, "full width letters", HERE), Session)
    with pytest.raises(Declined, match="there is an account 'suzuki aoi' already"):
        known.members.make("SUZUKI AOI", Role.VIEWER, BY, PASSWORD)


def test_an_unknown_name_takes_a_check_too(tmp_path: Path, clock: Turned) -> None:
    """Whether a name exists cannot be told from how long the answer takes: each is one check of a hash."""
    looked: list[str] = []

    class Watched(Passwords):
        def right(self, hashed: str | None, password: str) -> bool:
            looked.append("somebody's" if hashed else "nobody's")
            return super().right(hashed, password)

    class Counting(PasswordHasher):
        checks = 0

        def verify(self, *given: str | bytes) -> bool:  # type: ignore[override]
            Counting.checks += 1
            return super().verify(*given)

    found = Accounts(tmp_path / "web.db", clock, Watched(Counting(time_cost=1, memory_cost=8, parallelism=1)))
    found.members.make("operator", Role.OPERATOR, BY, PASSWORD)
    found.members.make("machine", Role.OPERATOR, BY)
    for name in ("operator", "machine", "nobody"):
        assert found.login(name, "not that one at all", HERE) == WRONG
    assert (looked, Counting.checks) == (["somebody's", "nobody's", "nobody's"], 3)
    found.close()


@pytest.mark.parametrize("seconds", [IDLE_MS / 1000, LONGEST_MS / 1000])
def test_a_session_ends(known: Accounts, clock: Turned, seconds: float) -> None:
    """Two hours without the page, seven days with it."""
    text = signed_in(known)
    left = seconds
    while left > 3600 and seconds > IDLE_MS / 1000:
        clock.passes(3600)
        left -= 3600
        assert left <= 0 or known.session(text) is not None, left
    clock.passes(left - 1)
    assert known.session(text) is not None
    clock.passes(1 if seconds > IDLE_MS / 1000 else seconds)
    assert known.session(text) is None


def test_a_clock_that_was_set_back_ends_a_session(known: Accounts, clock: Turned) -> None:
    """Else a session of a year far ahead would last until then; a token neither."""
    clock.at_ms += 40 * 365 * DAY_MS
    text, (token, _) = signed_in(known), known.tokens.make("operator", "read", 30, BY)
    assert known.session(text) is not None
    assert known.token(token) is not None
    clock.at_ms -= 40 * 365 * DAY_MS
    assert known.session(text) is None
    assert known.token(token) is None


def test_what_ends_sessions(known: Accounts) -> None:
    """A new password, another role, other tenants, being disabled, being signed out: each at once, of that person."""
    other = signed_in(known, "viewer")

    def ends(of: str) -> None:
        assert known.session(of) is None
        assert known.session(other) is not None

    text = signed_in(known)
    known.members.set_password("operator", PASSWORD, BY)
    ends(text)
    text = signed_in(known)
    known.members.change("operator", BY, role=Role.VIEWER)
    ends(text)
    text = signed_in(known)
    assert known.members.change("operator", BY, tenants=(["takamatsu"],)).tenants == {"takamatsu"}
    ends(text)
    text = signed_in(known)
    known.members.change("operator", BY, disabled=True)
    ends(text)
    assert known.login("operator", PASSWORD, HERE) == WRONG
    known.members.change("operator", BY, disabled=False, tenants=(None,))
    ends(text)
    text = signed_in(known)
    assert known.sign_out("operator", BY) == 1
    ends(text)


def test_a_session_of_before_ends_by_its_account(known: Accounts) -> None:
    """Also where its row was left behind: the account is looked at with each request."""
    text = signed_in(known)
    with known._file.writing() as db:
        db.execute("UPDATE accounts SET disabled = 1 WHERE name = 'operator'")
    assert known.session(text) is None
    with known._file.writing() as db:
        db.execute("UPDATE accounts SET disabled = 0, role = 1, tenants = '[\"a\"]' WHERE name = 'operator'")
    who = known.session(text)
    assert who is not None
    assert (who.role, who.tenants) == (Role.VIEWER, {"a"})
    with known._file.writing() as db:
        db.execute("DELETE FROM accounts WHERE name = 'operator'")
    assert known.session(text) is None


def test_a_password_that_changes_while_it_is_checked(tmp_path: Path, clock: Turned) -> None:
    """Whoever came with the old one does not get in on it."""

    class Slow(Passwords):
        def right(self, hashed: str | None, password: str) -> bool:
            found = super().right(hashed, password)
            known.members.set_password("operator", "quite another one", BY)
            return found

    clock.passes(1)
    accounts(tmp_path, clock).close()
    known = Accounts(tmp_path / "web.db", clock, Slow(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)))
    clock.passes(1)
    assert known.login("operator", PASSWORD, HERE) == WRONG
    known.close()


def test_ones_own_password(known: Accounts) -> None:
    """By the old one; a wrong one counts as any wrong one."""
    who = known.session(signed_in(known))
    assert who is not None
    assert known.change_password(who, "not that one at all", "a new one that is long", HERE) == WRONG
    assert known.change_password(who, PASSWORD, "a new one that is long", HERE) is None
    assert known.login("operator", PASSWORD, HERE) == WRONG
    assert isinstance(known.login("operator", "a new one that is long", HERE), Session)


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("short", "at least 12"),
        ("x" * 257, "at most 256"),
        ("abababababababab", "guessed at once"),
        ("flood watch desk", "guessed at once"),
        ("a long one \ud800 with a half", "halves of characters"),
        ("a long one with\x00zero", "control characters"),
    ],
)
def test_passwords_that_will_not_do(known: Accounts, password: str, why: str) -> None:
    """The reason is told, never the password."""
    with pytest.raises(Declined, match=why) as told:
        known.members.make("flood watch desk", Role.VIEWER, BY, password)
    assert password not in str(told.value)


@pytest.mark.parametrize("name", ["", " ", "a@b", ".", "a/b", "x" * 65, "\ud800", "a\nb", "-"])
def test_names_that_will_not_do(known: Accounts, name: str) -> None:
    """A name with '@' is one of a provider."""
    with pytest.raises(Declined, match="a name is"):
        known.members.make(name, Role.VIEWER, BY, PASSWORD)


def test_what_no_account_is_changed_to(known: Accounts) -> None:
    """One that nobody has is none, and no role is not a role."""
    with pytest.raises(Declined, match="no account of that name"):
        known.members.set_password("nobody", PASSWORD, BY)
    with pytest.raises(Declined, match="public without an account"):
        known.members.change("viewer", BY, role=Role.PUBLIC)


def test_a_hash_of_older_parameters_is_renewed(tmp_path: Path, clock: Turned) -> None:
    """At the next login, and the password stays the same."""
    accounts(tmp_path, clock).close()
    known = Accounts(tmp_path / "web.db", clock, Passwords(PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)))
    signed_in(known)
    assert "m=16,t=2" in (known.members.with_hash("operator")[1] or "")
    signed_in(known)
    known.close()


def test_the_parameters_of_the_house() -> None:
    """argon2id with the second recommendation of RFC 9106."""
    hasher = passwords.HASHER
    assert (hasher.type.name, hasher.memory_cost, hasher.time_cost) == ("ID", 65536, 3)


def test_passwords_are_checked_two_at_a_time(tmp_path: Path, clock: Turned, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits longer than a little is told to come again, and it was no try."""
    monkeypatch.setattr(passwords, "PATIENCE_S", 0.01)
    go, begun = threading.Event(), threading.Semaphore(0)

    class Slow(PasswordHasher):
        def verify(self, *given: str | bytes) -> bool:  # type: ignore[override]
            begun.release()
            assert go.wait(20)
            return super().verify(*given)

    known = Accounts(tmp_path / "web.db", clock, Passwords(Slow(time_cost=1, memory_cost=8, parallelism=1)))
    known.members.make("operator", Role.OPERATOR, BY, PASSWORD)
    with ThreadPoolExecutor(2) as pool:
        tries = [pool.submit(known.login, "operator", PASSWORD, f"192.0.2.{n}") for n in range(2)]
        assert all(begun.acquire(timeout=20) for _ in tries)
        for _ in range(20):
            assert known.login("operator", PASSWORD, "192.0.2.9") == Refused("busy", 1.0)
        go.set()
        assert all(isinstance(x.result(), Session) for x in tries)
    signed_in(known)
    known.close()


# --- how often -------------------------------------------------------------------------------------------------------


def test_guessing_slows_down(known: Accounts, clock: Turned) -> None:
    """Three wrong passwords are free, then each doubles the wait, and the right one is not looked at either."""
    waits = []
    for _ in range(14):
        while isinstance(found := known.login("operator", "a guess that is wrong", HERE), Refused) and found.seconds:
            waits.append(found.seconds)
            assert known.login("operator", PASSWORD, HERE) == found
            clock.passes(found.seconds)
    assert waits[:5] == [1.0, 2.0, 4.0, 8.0, 16.0]
    assert max(waits) == 512.0
    clock.passes(limits.ADDRESS_MOST_S)
    signed_in(known)
    assert known.login("operator", "a guess that is wrong", HERE) == WRONG, "and the right one begins anew"


def test_guessing_from_many_places_waits_by_name(known: Accounts, clock: Turned) -> None:
    """A minute at most, because anybody can do it to anybody; and who was in from a place still gets in from there."""
    signed_in(known, address="198.51.100.1")
    answers = [known.login("operator", "a guess that is wrong", f"203.0.113.{n}") for n in range(200)]
    assert answers[:4] == [WRONG] * 4
    assert {x.reason for x in answers[4:] if isinstance(x, Refused)} == {"wait"}
    assert all(isinstance(x, Refused) and x.seconds <= limits.NAME_MOST_S for x in answers)
    signed_in(known, address="198.51.100.1")
    assert isinstance(known.login("operator", PASSWORD, "198.51.100.2"), Refused)


def test_guessing_many_names_waits_by_address(known: Accounts) -> None:
    """Also where one person has many addresses: an IPv6 network is one."""
    answers = [known.login(f"name{n}", "a guess that is wrong", f"2001:db8:0:1::{n:x}") for n in range(6)]
    assert [x.reason for x in answers if isinstance(x, Refused)] == ["wrong"] * 4 + ["wait"] * 2
    assert known.login("name9", "a guess that is wrong", "2001:db8:0:2::1") == WRONG


def test_guesses_at_once_are_guesses(known: Accounts) -> None:
    """Many threads get no more tries than one after the other."""
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: known.login("operator", "a guess that is wrong", HERE), range(64)))
    assert sum(x == WRONG for x in found) == 4


def test_requests_are_bounded(known: Accounts, clock: Turned) -> None:
    """A burst, then as many as flow in; each key has its own, and a wait is the time until it may."""
    assert [known.allow("token:a") for _ in range(int(limits.BURST))] == [0.0] * int(limits.BURST)
    waits = known.allow("token:a", 2.0)
    assert waits == 2.0 / limits.PER_SECOND
    assert known.allow("token:b") == 0.0
    clock.passes(waits)
    assert known.allow("token:a", 2.0) == 0.0
    assert known.allow("token:a") > 0
    for n in range(int(limits.BURST)):
        known.allow(f"public:2001:db8::{n:x}")
    assert known.allow("public:2001:db8::ffff") > 0
    assert known.allow("public:::ffff:192.0.2.1", limits.BURST) == 0.0
    assert known.allow("public:192.0.2.1") > 0, "the same, written otherwise"


def test_memory_is_bounded(known: Accounts) -> None:
    """However many addresses come, so many are remembered."""
    for n in range(limits.MOST + 100):
        known.allow(f"public:{n}")
    assert len(known._buckets._left) == limits.MOST


# --- tokens ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("owner", "scope", "role", "scopes"),
    [
        ("administrator", "read", Role.VIEWER, {"read"}),
        ("administrator", "act", Role.OPERATOR, {"read", "act"}),
        ("administrator", "admin", Role.ADMINISTRATOR, {"read", "act", "admin"}),
        ("operator", "act", Role.OPERATOR, {"read", "act"}),
        ("viewer", "read", Role.VIEWER, {"read"}),
    ],
)
def test_a_token(known: Accounts, owner: str, scope: str, role: Role, scopes: set[str]) -> None:
    """Acts for its account within its scope."""
    text, kept = known.tokens.make(owner, scope, 90, BY, "gis")  # type: ignore[arg-type]
    assert known.token(text) == Who(owner, role, None, "token", frozenset(scopes))
    assert (kept.label, kept.expires_ms - kept.made_ms) == ("gis", 90 * DAY_MS)
    assert [x.id for x in known.tokens.list(owner)] == [kept.id]


def test_tokens_that_are_declined(known: Accounts) -> None:
    """More than the owner may, for longer than a year, of nobody, of somebody disabled."""
    make = known.tokens.make
    for name, scope in (("viewer", "act"), ("operator", "admin")):
        with pytest.raises(Declined, match=f"the scope {scope} needs"):
            make(name, scope, 30, BY)  # type: ignore[arg-type]
    for days in (0, -1, 367, float("nan"), float("inf")):
        with pytest.raises(Declined, match="at most 366 days"):
            make("viewer", "read", days, BY)
    with pytest.raises(Declined, match="does not see all"):
        make("elsewhere", "read", 30, BY, tenants=["elsewhere", "takamatsu"])
    with pytest.raises(Declined, match="no account"):
        make("nobody", "read", 30, BY)
    known.members.change("viewer", BY, disabled=True)
    with pytest.raises(Declined, match="is disabled"):
        make("viewer", "read", 30, BY)
    for _ in range(100):
        make("operator", "read", 30, BY)
    with pytest.raises(Declined, match="100 tokens"):
        make("operator", "read", 30, BY)


def test_a_token_ends(known: Accounts, clock: Turned) -> None:
    """When it expires, when it is revoked, when its account is disabled; less where its account may less."""
    text, kept = known.tokens.make("operator", "act", 1, BY)
    clock.passes(86_400 - 1)
    assert known.token(text) is not None
    clock.passes(1)
    assert known.token(text) is None
    text, kept = known.tokens.make("operator", "act", 1, BY)
    known.members.change("operator", BY, role=Role.VIEWER)
    assert known.token(text) == Who("operator", Role.VIEWER, None, "token", frozenset({"read"}))
    known.members.change("operator", BY, disabled=True)
    assert known.token(text) is None
    known.members.change("operator", BY, disabled=False)
    assert known.token(text) is not None
    with pytest.raises(Declined, match="no such token"):
        known.tokens.revoke(kept.id, BY, owner="viewer")
    known.tokens.revoke(kept.id, BY, owner="operator")
    assert known.token(text) is None
    for unknown in (kept.id, "000000000000", "", "\ud800", text):
        with pytest.raises(Declined, match="no such token") as told:
            known.tokens.revoke(unknown, BY)
        assert text not in str(told.value)


def test_the_tenants_of_a_token(known: Accounts) -> None:
    """Those it was made for, as far as its account sees them now."""
    known.members.make("two", Role.VIEWER, BY, PASSWORD, ["a", "b"])
    wide, _ = known.tokens.make("two", "read", 1, BY)
    narrow, _ = known.tokens.make("two", "read", 1, BY, tenants=["a"])
    assert [x.tenants for x in map(known.token, (wide, narrow)) if x] == [{"a", "b"}, {"a"}]
    known.members.change("two", BY, tenants=(["b"],))
    assert [x.tenants for x in map(known.token, (wide, narrow)) if x] == [{"b"}, frozenset()]
    known.members.change("two", BY, tenants=(None,))
    assert [x.tenants for x in map(known.token, (wide, narrow)) if x] == [None, {"a"}]


def test_when_a_token_was_used_is_noted_by_the_hour(known: Accounts, clock: Turned) -> None:
    """A token that asks every second is no write every second."""
    text, _ = known.tokens.make("viewer", "read", 30, BY)
    assert known.tokens.list()[0].used_ms is None
    first = clock.at_ms
    for _ in range(3):
        assert known.token(text) is not None
        clock.passes(1000)
    assert known.tokens.list()[0].used_ms == first
    clock.passes(HOUR_MS / 1000)
    known.token(text)
    assert known.tokens.list()[0].used_ms == clock.at_ms


def test_foreign_tokens(known: Accounts, tmp_path: Path) -> None:
    """One of another house, another's id with one's own secret, a session as a token and a token as a session."""
    (tmp_path / "other").mkdir()
    other = accounts(tmp_path / "other")
    mine, _ = known.tokens.make("viewer", "read", 1, BY)
    theirs, _ = other.tokens.make("viewer", "read", 1, BY)
    other.close()
    mixed = f"{theirs[:17]}{mine[17:]}"
    session = signed_in(known)
    for text in (theirs, mixed, mine[:-1], mine + "A", mine.upper(), f" {mine}", mine + "\n", "", "sui__", session):
        assert known.token(text) is None, text
    for text in (mine, mine[17:], session[:-1], session + "\n"):
        assert known.session(text) is None
    assert known.token(mine) is not None


@given(
    text=st.one_of(st.text(), st.from_regex(r"sui_[0-9a-f]{12}_[A-Za-z0-9_-]{43}\Z"), st.text("sui_0f", max_size=80))
)
def test_no_text_is_a_token_by_accident(text: str) -> None:
    """Nor a session, and none raises."""
    assert OPEN.token(text) is None
    assert OPEN.session(text) is None
    OPEN.logout(text)


OPEN: Accounts


@pytest.fixture(scope="module", autouse=True)
def _one_for_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    global OPEN
    OPEN = accounts(tmp_path_factory.mktemp("accounts"))
    yield
    OPEN.close()


# --- whom a provider knows -------------------------------------------------------------------------------------------


def test_whom_a_provider_knows(known: Accounts, clock: Turned) -> None:
    """Has the role and tenants that it gave, for half a day, and no account here."""
    who = Who("tanaka@login.city.example", Role.OPERATOR, frozenset({"takamatsu"}), "session", frozenset({"read"}))
    found = known.admit(who, "https://login.city.example", HERE)
    seen = known.session(found.text)
    assert seen is not None
    assert (seen.name, seen.role, seen.tenants) == (who.name, Role.OPERATOR, {"takamatsu"})
    for _ in range(11):
        clock.passes(3600)
        assert known.session(found.text) is not None
    clock.passes(PROVIDED_MS / 1000 - 11 * 3600)
    assert known.session(found.text) is None
    assert known.login(who.name, "", HERE) == WRONG
    again = known.admit(who, "https://login.city.example", HERE)
    assert known.sign_out(who.name, BY) == 1
    assert known.session(again.text) is None


def test_a_provider_that_is_no_longer_configured(known: Accounts) -> None:
    """Whom it let in must come anew; whoever has an account here stays."""
    who = Who("tanaka@login.city.example", Role.OPERATOR, None, "session", frozenset())
    theirs, ours = known.admit(who, "https://login.city.example", HERE).text, signed_in(known)
    known.only_of("https://login.city.example")
    assert known.session(theirs) is not None
    known.only_of("")
    assert known.session(theirs) is None
    assert known.session(ours) is not None


# --- the audit -------------------------------------------------------------------------------------------------------


def test_what_the_audit_holds(known: Accounts, clock: Turned) -> None:
    """Who, when, from where, by what means, what, of whom, how it ended; the newest first."""
    began = clock.at_ms
    clock.passes(1)
    text = signed_in(known)
    known.login("operator", "a guess that is wrong", HERE)
    known.login("a password typed as a name", "x", HERE)
    _, kept = known.tokens.make("operator", "read", 1, BY)
    known.members.change("viewer", BY, disabled=True)
    known.note(Who("operator", Role.OPERATOR, None, "token"), HERE, "alert.acknowledge", "kasuga-bridge", "done")
    known.logout(text, HERE)
    rows = [(x.who, x.via, x.address, x.what, x.subject, x.outcome) for x in known.audit.rows(began + 1)]
    assert rows == [
        ("operator", "session", HERE, "logout", "operator", "done"),
        ("operator", "token", HERE, "alert.acknowledge", "kasuga-bridge", "done"),
        ("root", "cli", "", "account.change", "viewer, viewer, all tenants, disabled", "done"),
        ("root", "cli", "", "token.make", f"{kept.id} of operator, read", "done"),
        ("", "public", HERE, "login", "", "unknown_name"),
        ("", "public", HERE, "login", "operator", "wrong_password"),
        ("operator", "session", HERE, "login", "operator", "done"),
    ]
    first = known.audit.rows(limit=1)[0]
    assert known.audit.rows(before=first.id, limit=1)[0].id == first.id - 1


def test_the_audit_is_append_only(known: Accounts, tmp_path: Path) -> None:
    """By SQL neither: no row is changed, replaced, or leaves before its time."""
    db = sqlite3.connect(tmp_path / "web.db", isolation_level=None)
    for sql in ("UPDATE audit SET who = 'x'", "DELETE FROM audit", "INSERT OR REPLACE INTO audit SELECT * FROM audit"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            db.execute(sql)
    db.close()


def test_the_audit_is_bounded(known: Accounts, clock: Turned) -> None:
    """What is older than two years goes, but by no clock that nobody believes; in any case what is too much."""
    clock.passes(accountschema.KEPT_MS / 1000 + 60)
    known.note(PUBLIC, HERE, "x", "", "done")
    clock.state = ClockState.UNSYNCED
    known.audit.prune()
    assert len(known.audit.rows()) == 5
    clock.state = ClockState.SYNCED
    known.audit.prune()
    assert [x.what for x in known.audit.rows()] == ["x"]
    with known._file.writing() as db:
        db.execute("""WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200100)
                      INSERT INTO audit (at_ms, who, via, address, what, subject, outcome)
                      SELECT ?, '', '', '', 'y', '', '' FROM n""", (clock.at_ms,))  # fmt: skip
    known.audit.prune()
    assert known._file.rows("SELECT count(*) FROM audit") == [(accountschema.KEPT_ROWS,)]


@pytest.mark.parametrize("step_s", [0.0, -1.0, 1.0])
def test_more_sessions_than_one_person_has(known: Accounts, clock: Turned, step_s: float) -> None:
    """The one that begins holds, whatever the clock does, and so many of the others; those used last where that is
    known."""
    texts = []
    for _ in range(SESSIONS + 5):
        clock.passes(step_s)
        texts.append(signed_in(known))
        assert known.session(texts[-1]) is not None
    kept = [x for x in texts if known._file.rows("SELECT 1 FROM sessions WHERE hash = ?", (hash_of(x),))]
    assert len(kept) == SESSIONS
    if step_s > 0:
        assert kept == texts[5:]


def test_a_row_of_the_audit_is_one_line(known: Accounts) -> None:
    """Whatever stands in a name or an address: no escape sequence, no second line, no end of the disk."""
    known.note(Who("a\x1b[2J\nb", Role.VIEWER), "x" * 10_000, "y\x00", "\u202e" + "z" * 500, "done\r\n")
    row = known.audit.rows(limit=1)[0]
    texts = (row.who, row.address, row.what, row.subject, row.outcome)
    assert all(x.isprintable() and len(x) <= 200 for x in texts)


def test_a_disk_that_takes_nothing(known: Accounts, caplog: pytest.LogCaptureFixture, clock: Turned) -> None:
    """Whoever is signed in stays so and acts; the missing rows are counted, and nobody new gets in."""
    text, (token, _) = signed_in(known), known.tokens.make("viewer", "read", 30, BY)
    known._file._db.execute("PRAGMA query_only = ON")
    clock.passes(3600)
    for _ in range(3):
        assert known.session(text) is not None
        assert known.token(token) is not None
        known.note(PUBLIC, HERE, "alert.acknowledge", "", "done")
    with pytest.raises(Unavailable, match="cannot use the accounts"):
        known.login("operator", PASSWORD, HERE)
    known._file._db.execute("PRAGMA query_only = OFF")
    known.note(PUBLIC, HERE, "alert.acknowledge", "", "done")
    said = [r.message for r in caplog.records]
    assert [x.endswith("last uses are not noted") for x in said].count(True) == 1
    assert [x.endswith("is not in the audit") for x in said].count(True) == 1
    assert said[-1] == "the audit is written again; 3 rows are missing"


# --- the file --------------------------------------------------------------------------------------------------------


def test_the_file_is_its_owners(known: Accounts, tmp_path: Path) -> None:
    """Nobody else on the machine reads who has an account."""
    signed_in(known)
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_that_root_makes(tmp_path: Path) -> None:
    """Is of whoever owns the folder, with what SQLite puts beside it: the page is not root."""
    os.chown(tmp_path, 12345, 23456)
    found = accounts(tmp_path)
    signed_in(found)
    assert {(x.stat().st_uid, x.stat().st_gid) for x in tmp_path.iterdir()} == {(12345, 23456)}
    assert len(list(tmp_path.iterdir())) == 3
    found.close()


def test_what_is_no_file_of_ours(tmp_path: Path) -> None:
    """Is told in a sentence: a folder that is not there, another file, a newer version."""
    (tmp_path / "text").write_text("not a database " * 100)
    db = sqlite3.connect(tmp_path / "newer")
    db.execute("PRAGMA user_version = 99")
    db.close()
    for path, why in (("no/web.db", "cannot open"), ("text", "not a database"), ("newer", "Install a newer")):
        with pytest.raises(Unavailable, match=why):
            Accounts(tmp_path / path, Turned(), quick())


def test_two_processes(known: Accounts, tmp_path: Path, clock: Turned) -> None:
    """What the command line changes holds for the page at once."""
    text = signed_in(known)
    beside = accounts(tmp_path, clock)
    beside.members.change("operator", BY, disabled=True)
    beside.close()
    assert known.session(text) is None


def test_many_threads(known: Accounts) -> None:
    """Each gets its own answer."""
    texts = {name: signed_in(known, name) for name in ("viewer", "operator", "administrator")}

    def asks(n: int) -> bool:
        name = [*texts][n % 3]
        who = known.session(texts[name])
        known.note(PUBLIC, HERE, "x", name, "done")
        return who is not None and who.name == name

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(asks, range(300)))


def test_no_secret_is_written_anywhere(known: Accounts, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Not in web.db and the files beside it, not in the log, not in what objects show of themselves."""
    caplog.set_level(logging.DEBUG)
    session = known.login("operator", PASSWORD, HERE)
    assert isinstance(session, Session)
    token, kept = known.tokens.make("operator", "act", 1, BY, "label")
    known.login("operator", "wrong-but-nearly-right", HERE)
    known.login("typed-into-the-wrong-field", "x", HERE)
    known.login("disabled-later", "x", HERE)
    known.members.set_password("viewer", "another good password", BY)
    with pytest.raises(Declined) as told:
        known.tokens.revoke(token, BY)
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    shown = "\n".join([*(repr(x) for x in (session, kept, told.value, *known.audit.rows())), caplog.text]).encode()
    for secret in (
        PASSWORD,
        session.text,
        token,
        token[17:],
        "wrong-but-nearly",
        "typed-into-the-wrong",
        "another good",
    ):
        assert secret.encode() not in written + shown, secret
    assert b"operator" in written

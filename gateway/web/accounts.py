"""Who is who: local accounts, sessions, tokens for programs, the audit of what they did, and how often they may.
Safe for threads.

Of a session and of a token only the SHA-256 is kept: both are 256 random bits, so nobody finds one from its hash.
"""

from __future__ import annotations

import re
import secrets
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gateway.clock import Clock
from gateway.errors import LoginReason
from gateway.web.accountfile import AccountFile
from gateway.web.accountrows import DAY_MS, EVERYTHING, HOUR_MS, Account, By, Declined, hash_of, read, spelled, written
from gateway.web.audit import Audit
from gateway.web.limits import (
    ADDRESS_MOST_S,
    NAME_MOST_S,
    WRONG_BURST,
    WRONG_PER_SECOND,
    Buckets,
    Delays,
    network,
)
from gateway.web.members import Members
from gateway.web.passwords import Busy, Passwords
from gateway.web.refusals import Refusals
from gateway.web.tokens import Tokens
from gateway.web.who import Role, Who

IDLE_MS = 2 * HOUR_MS  # a page that is open renews it by itself
LONGEST_MS = 7 * DAY_MS  # a wall screen is signed in once a week
PROVIDED_MS = 12 * HOUR_MS  # of whom a provider knows: it does not say when somebody leaves
SEEN_MS = 60_000  # how exactly it is noted when a session was last used
SESSIONS = 50  # of one person
KNOWN = 1000
FORM = re.compile(r"[A-Za-z0-9_-]{43}")
_FIND = """SELECT s.name, s.provider, s.made_ms, s.seen_ms, iif(s.provider = '', a.role, s.role),
 iif(s.provider = '', a.tenants, s.tenants)
FROM sessions s LEFT JOIN accounts a ON a.name = s.name
WHERE s.hash = ? AND (s.provider <> '' OR (a.name IS NOT NULL AND NOT a.disabled))"""
# Never the one that begins: by a clock that was set back, or in one millisecond, it is not the newest.
_SURPLUS = """DELETE FROM sessions WHERE name = ?1 AND hash <> ?3 AND hash NOT IN
 (SELECT hash FROM sessions WHERE name = ?1 AND hash <> ?3 ORDER BY seen_ms DESC, made_ms DESC, hash LIMIT ?2 - 1)"""


@dataclass(frozen=True, slots=True)
class Session:
    """`text` is the cookie's value and stands nowhere else; it ends after `longest_s` at the latest."""

    text: str = field(repr=False)
    who: Who
    longest_s: int


@dataclass(frozen=True, slots=True)
class Refused:
    """`wrong` is said of a wrong password, an unknown name and a disabled account alike; the others end after
    `seconds`."""

    reason: Literal["wrong", "wait", "busy"]
    seconds: float = 0.0


class Accounts:
    """`members`, `tokens` and `audit` are changed and listed there. Everything raises Unavailable where web.db cannot
    be used now, but `allow` and `note`, which need no file."""

    def __init__(self, path: Path, clock: Clock, hashing: Passwords | None = None) -> None:
        """Makes the file where there is none."""
        self._file, self._clock, self._hashing = AccountFile(path), clock, hashing or Passwords()
        self.audit = Audit(self._file, clock)
        self.members = Members(self._file, clock, self.audit, self._hashing)
        self.tokens = Tokens(self._file, clock, self.audit, self.members)
        self.refusals = Refusals(self._file, clock, clock.uptime_ms)
        self._buckets = Buckets(self._up_s)
        self._wrong = Buckets(self._up_s, WRONG_BURST, WRONG_PER_SECOND)
        self._names, self._addresses = Delays(self._up_s, NAME_MOST_S), Delays(self._up_s, ADDRESS_MOST_S)
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()  # who signed in from where

    def close(self) -> None:
        self.refusals.flush()
        self._file.close()

    def refuse(self, who: Who, address: str, what: str, code: str) -> None:
        """Into the count of refusals."""
        self.refusals.add(By.who(who, address), what, code)

    def failed(self, address: str, subject: str, reason: LoginReason) -> None:
        """A sign-in that was none: into the audit, and where too many come, into the count alone."""
        by = By("", "public", address)
        if self._wrong.allow("login:", 1.0) > 0:
            self.refusals.add(by, "login", reason.value)
        else:
            self.audit.note(by, "login", subject, reason.value)

    def now_ms(self) -> int:
        return self._clock.now_ms()

    def _up_s(self) -> float:
        return self._clock.uptime_ms() / 1000

    def allow(self, key: str, cost: float = 1.0) -> float:
        """Seconds to wait, 0 where it may go. `key` is a kind, a colon, and a name or address."""
        return self._buckets.allow(key, cost)

    def token(self, text: str) -> Who | None:
        return self.tokens.who(text)

    def whose(self, text: str) -> str:
        """Of a token that is no longer in force."""
        return self.tokens.whose(text)

    def note(self, who: Who, address: str, what: str, subject: str, outcome: str) -> None:
        """Into the audit."""
        self.audit.note(By.who(who, address), what, subject, outcome)

    def note_all(self, who: Who, address: str, rows: Sequence[tuple[str, str, str]]) -> None:
        """(what, subject, outcome) of each, into the audit."""
        self.audit.note_all(By.who(who, address), rows)

    # --- signing in --------------------------------------------------------------------------------------------------

    def login(self, name: str, password: str, address: str) -> Session | Refused:
        name = spelled(name)
        account = self._checked(name, password, address)
        if isinstance(account, Refused):
            return account
        who = Who(account.name, account.role, account.tenants, "session", EVERYTHING)
        return self._begin(who, "", address, LONGEST_MS, account.changed_ms) or Refused("wrong")

    def change_password(self, who: Who, password: str, new: str, address: str) -> Refused | None:
        """One's own, by whoever knows the old one; every session ends. Raises Declined for a new one that will not
        do."""
        account = self._checked(who.name, password, address)
        if isinstance(account, Refused):
            return account
        self.members.set_password(who.name, new, By.who(who, address))
        return None

    def _checked(self, name: str, password: str, address: str) -> Account | Refused:
        """The account, if the password is that of it and may be tried now."""
        near = network(address)
        tries = [(self._addresses, near)]
        if (name, near) not in self._known:  # so that nobody keeps an officer out by guessing
            tries.append((self._names, name))
        for n, (delays, key) in enumerate(tries):
            if waits := delays.begin(key):
                _back(tries[:n])
                return Refused("wait", waits)
        try:
            account, hashed = self.members.with_hash(name)
        except Declined:
            account, hashed = None, None
        try:
            right = self._hashing.right(hashed, password)
        except Busy:
            _back(tries)
            return Refused("busy", 1.0)
        if account is None or not right or account.disabled:
            why = LoginReason.DISABLED if right else LoginReason.WRONG_PASSWORD
            why = LoginReason.UNKNOWN_NAME if account is None else why
            # What was typed as a name that nobody has may be a password.
            self.failed(address, account.name if account else "", why)
            return Refused("wrong")
        for delays, key in tries:
            delays.right(key)
        self._known[(name, near)] = None
        while len(self._known) > KNOWN:
            self._known.popitem(last=False)
        if hashed is not None and self._hashing.outdated(hashed):
            self.members.rehash(name, hashed, password)
        return account

    def admit(self, who: Who, provider: str, address: str) -> Session:
        """A session of somebody whom a provider knows, with the role and tenants that it gave."""
        session = self._begin(who, provider, address, PROVIDED_MS)
        assert session is not None
        return session

    def _begin(
        self, who: Who, provider: str, address: str, longest_ms: int, changed_ms: int | None = None
    ) -> Session | None:
        """None where the account was changed since, while its password was checked."""
        text, now = secrets.token_urlsafe(32), self._clock.now_ms()
        own = (int(who.role), written(who.tenants)) if provider else (None, None)
        with self._file.writing() as db:
            sql = "SELECT 1 FROM accounts WHERE name = ? AND changed_ms = ? AND NOT disabled"
            if changed_ms is not None and not db.execute(sql, (who.name, changed_ms)).fetchone():
                return None
            db.execute("DELETE FROM sessions WHERE seen_ms < ? OR made_ms < ?", (now - IDLE_MS, now - LONGEST_MS))
            row = (hash_of(text), who.name, provider, *own, now, now)
            db.execute("INSERT INTO sessions VALUES (?,?,?,?,?,?,?)", row)
            db.execute(_SURPLUS, (who.name, SESSIONS, hash_of(text)))
            self.audit.add(db, By.who(who, address), "login", who.name, "done")
        return Session(text, who, longest_ms // 1000)

    # --- being signed in ---------------------------------------------------------------------------------------------

    def session(self, text: str) -> Who | None:
        """None for a text that is no session, or none any more."""
        found = self._file.rows(_FIND, (hash_of(text),)) if FORM.fullmatch(text) else []
        if not found:
            return None
        name, provider, made_ms, seen_ms, role, tenants = found[0]
        now = self._clock.now_ms()
        longest = PROVIDED_MS if provider else LONGEST_MS
        # One from the future is over: a clock that was set back must not make it last.
        if not (-HOUR_MS < now - made_ms < longest and now - seen_ms < IDLE_MS):
            self._file.attempt("DELETE FROM sessions WHERE hash = ?", (hash_of(text),))
            return None
        if abs(now - seen_ms) >= SEEN_MS:
            self._file.attempt("UPDATE sessions SET seen_ms = ? WHERE hash = ?", (now, hash_of(text)))
        return Who(name, Role(role), read(tenants), "session", EVERYTHING)

    def logout(self, text: str, address: str = "") -> None:
        """Of a text that is no session nothing is done."""
        who = self.session(text)
        if who is not None:
            with self._file.writing() as db:
                db.execute("DELETE FROM sessions WHERE hash = ?", (hash_of(text),))
                self.audit.add(db, By.who(who, address), "logout", who.name, "done")

    def only_of(self, provider: str) -> None:
        """Whom another provider let in must come anew: that one is no longer configured."""
        with self._file.writing() as db:
            db.execute("DELETE FROM sessions WHERE provider NOT IN ('', ?)", (provider,))

    def sign_out(self, name: str, by: By) -> int:
        """Everywhere, also whom a provider knows; from how many places."""
        with self._file.writing() as db:
            count = int(db.execute("DELETE FROM sessions WHERE name = ?", (name,)).rowcount)
            self.audit.add(db, by, "session.end", name, f"done, {count}")
        return count


def _back(tries: list[tuple[Delays, str]]) -> None:
    for delays, key in tries:
        delays.back(key)

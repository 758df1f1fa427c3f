"""Tokens for programs: `sui_<id>_<secret>`, of which the secret is shown once and kept nowhere."""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Collection
from typing import Any

from gateway.clock import Clock
from gateway.web.accountfile import AccountFile
from gateway.web.accountrows import (
    DAY_MS,
    HOUR_MS,
    MAY,
    By,
    Declined,
    Scope,
    Token,
    both,
    hash_of,
    one_line,
    read,
    written,
)
from gateway.web.audit import Audit
from gateway.web.members import Members
from gateway.web.who import Role, Who

MOST = 100  # of one account
LONGEST_DAYS = 366
FORM = re.compile(r"sui_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_FIND = """SELECT t.hash, t.scope, t.tenants, t.made_ms, t.expires_ms, t.used_ms, a.name, a.role, a.tenants
FROM tokens t JOIN accounts a ON a.name = t.name WHERE t.id = ? AND t.revoked_ms IS NULL AND NOT a.disabled"""
_LIST = """SELECT id, name, label, scope, tenants, made_ms, expires_ms, used_ms, revoked_ms FROM tokens
WHERE ? IN ('', name) ORDER BY made_ms DESC, id"""


class Tokens:
    def __init__(self, file: AccountFile, clock: Clock, audit: Audit, members: Members) -> None:
        self._file, self._clock, self._audit, self._members = file, clock, audit, members

    def who(self, text: str) -> Who | None:
        """With the owner's role and tenants of now, not of when it was made. None for a text that is no token, or none
        any more."""
        match = FORM.fullmatch(text)
        found = self._file.rows(_FIND, (match[1],)) if match else []
        if match is None or not found or not hmac.compare_digest(found[0][0], hash_of(match[2])):
            return None
        _, scope, only, made_ms, expires_ms, used_ms, name, role, tenants = found[0]
        now = self._clock.now_ms()
        if not made_ms - HOUR_MS <= now < expires_ms:  # a clock that was set back does not make it valid longer
            return None
        if used_ms is None or abs(now - used_ms) >= HOUR_MS:
            self._file.attempt("UPDATE tokens SET used_ms = ? WHERE id = ?", (now, match[1]))
        may = min(Role(role), MAY[scope])
        return Who(name, may, both(read(only), read(tenants)), "token", frozenset(s for s in MAY if MAY[s] <= may))

    def whose(self, text: str) -> str:
        """`ID of NAME`, of a token that is no longer in force; empty where the secret is none of ours."""
        match = FORM.fullmatch(text)
        found = self._file.rows("SELECT hash, name FROM tokens WHERE id = ?", (match[1],)) if match else []
        known = match is not None and bool(found) and hmac.compare_digest(found[0][0], hash_of(match[2]))
        return f"{match[1]} of {found[0][1]}" if match is not None and known else ""

    def make(
        self, name: str, scope: Scope, days: float, by: By, label: str = "", tenants: Collection[str] | None = None
    ) -> tuple[str, Token]:
        """(the token; what is kept of it). `tenants` None: those of the account. Raises Declined."""
        account = self._members.account(name)
        if account.disabled:
            raise Declined(f"{account.name} is disabled", f"'suimon web user enable {account.name}' lets it in again")
        if account.role < MAY[scope]:
            role = MAY[scope].name.lower()
            remedy = f"'suimon web user role {account.name} --role {role}' gives it; or take a lesser --scope"
            raise Declined(f"{account.name} is {account.role.name.lower()}; the scope {scope} needs {role}", remedy)
        if tenants is not None and account.tenants is not None and not set(tenants) <= account.tenants:
            seen = ", ".join(sorted(account.tenants))
            raise Declined(
                f"{account.name} does not see all of these tenants, but {seen}", "Name of these with --tenant"
            )
        if not 0 < days <= LONGEST_DAYS:
            raise Declined(f"a token lasts at most {LONGEST_DAYS} days")
        now = self._clock.now_ms()
        only = None if tenants is None else frozenset(tenants)
        secret, id_ = secrets.token_urlsafe(32), secrets.token_hex(6)
        made = Token(id_, account.name, one_line(label), scope, only, now, now + round(days * DAY_MS), None, None)
        with self._file.writing() as db:
            sql = "SELECT count(*) FROM tokens WHERE name = ? AND revoked_ms IS NULL AND expires_ms > ?"
            if db.execute(sql, (made.name, now)).fetchone()[0] >= MOST:
                raise Declined(f"{made.name} has {MOST} tokens. Revoke some", "'suimon web token revoke ID'")
            db.execute("DELETE FROM tokens WHERE max(coalesce(revoked_ms, 0), expires_ms) < ?", (now - 366 * DAY_MS,))
            row = (id_, hash_of(secret), made.name, made.label, scope, written(only), now, made.expires_ms)
            db.execute("INSERT INTO tokens VALUES (?,?,?,?,?,?,?,?,NULL,NULL)", row)
            self._audit.add(db, by, "token.make", f"{id_} of {made.name}, {scope}", "done")
        return f"sui_{id_}_{secret}", made

    def list(self, name: str = "") -> list[Token]:
        """Of one account, or of all; the newest first."""
        return [_token(*row) for row in self._file.rows(_LIST, (name,))]

    def revoke(self, token: str, by: By, owner: str = "") -> None:
        """By its id; with `owner` only one of theirs. Raises Declined."""
        known = re.fullmatch(r"[0-9a-f]{12}", token)
        with self._file.writing() as db:
            sql = "UPDATE tokens SET revoked_ms = ? WHERE id = ? AND ? IN ('', name) AND revoked_ms IS NULL"
            if not known or not db.execute(sql, (self._clock.now_ms(), token, owner)).rowcount:
                raise Declined("there is no such token in force. Name it by its id, the twelve characters after 'sui_'")
            self._audit.add(db, by, "token.revoke", token, "done")


def _token(id_: str, name: str, label: str, scope: Scope, tenants: str | None, *times: Any) -> Token:
    made_ms, expires_ms, used_ms, revoked_ms = times
    return Token(id_, name, label, scope, read(tenants), made_ms, expires_ms, used_ms, revoked_ms)

"""Local accounts: who there is, which role and tenants each has, and their passwords."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from typing import Any

from gateway.clock import Clock
from gateway.web import passwords
from gateway.web.accountfile import AccountFile
from gateway.web.accountrows import NAME, Account, By, Declined, one_line, read, said, spelled, written
from gateway.web.audit import Audit
from gateway.web.passwords import Passwords
from gateway.web.who import Role

_COLUMNS = "name, display, password, role, tenants, disabled, made_ms, changed_ms"
_ONE = f"SELECT {_COLUMNS} FROM accounts WHERE name = ?"  # noqa: S608 - ours
_ALL = f"SELECT {_COLUMNS} FROM accounts ORDER BY name"  # noqa: S608 - ours


class Members:
    def __init__(self, file: AccountFile, clock: Clock, audit: Audit, hashing: Passwords) -> None:
        self._file, self._clock, self._audit, self._hashing = file, clock, audit, hashing

    def account(self, name: str) -> Account:
        """Raises Declined."""
        return self.with_hash(name)[0]

    def with_hash(self, name: str) -> tuple[Account, str | None]:
        """And the hash of the password. Raises Declined."""
        name = spelled(name)
        found = self._file.rows(_ONE, (name,)) if NAME.fullmatch(name) else []
        if not found:
            raise Declined("there is no account of that name")
        return _account(found[0]), found[0][2]

    def list(self) -> list[Account]:
        return [_account(row) for row in self._file.rows(_ALL)]

    def make(
        self,
        name: str,
        role: Role,
        by: By,
        password: str | None = None,
        tenants: Collection[str] | None = None,
        display: str = "",
    ) -> Account:
        """Without a password it is for machines. Raises Declined."""
        name = spelled(name)
        if not NAME.fullmatch(name):
            raise Declined("a name is 1 to 64 letters and digits, with '.', '-', '_' and spaces between them")
        _some(role)
        hashed = None if password is None else self._hashed(password, name)
        only = None if tenants is None else frozenset(tenants)
        now = self._clock.now_ms()
        made = Account(name, one_line(display) or name, role, only, False, hashed is None, now, now)
        with self._file.writing() as db:
            if db.execute("SELECT 1 FROM accounts WHERE name = ?", (name,)).fetchone():
                remedy = f"'suimon web user role {name}' changes what they may, 'set-password' the password"
                raise Declined(f"there is an account '{name}' already", remedy)
            row = (name, made.display, hashed, int(role), written(only), now, now)
            db.execute("INSERT INTO accounts VALUES (?,?,?,?,?,0,?,?)", row)
            self._audit.add(db, by, "account.make", f"{name}, {_rights(made)}", "done")
        return made

    def change(
        self,
        name: str,
        by: By,
        role: Role | None = None,
        tenants: tuple[Collection[str] | None] | None = None,
        disabled: bool | None = None,
    ) -> Account:
        """What is not None is changed; `tenants` is wrapped, because (None,) means all. Whoever is signed in must do so
        again. Raises Declined."""
        was = self.account(name)
        role = was.role if role is None else role
        _some(role)
        only = was.tenants if tenants is None else None if tenants[0] is None else frozenset(tenants[0])
        now = self._clock.now_ms()
        off = was.disabled if disabled is None else disabled
        new = Account(was.name, was.display, role, only, off, was.machine, was.made_ms, now)
        with self._file.writing() as db:
            sql = "UPDATE accounts SET role = ?, tenants = ?, disabled = ?, changed_ms = ? WHERE name = ?"
            db.execute(sql, (int(new.role), written(only), off, now, was.name))
            self._sign_out(db, was.name)
            state = "disabled" if off else "enabled"
            self._audit.add(db, by, "account.change", f"{was.name}, {_rights(new)}, {state}", "done")
        return new

    def set_password(self, name: str, password: str, by: By) -> None:
        """Whoever is signed in must do so again; tokens stay. Raises Declined."""
        was = self.account(name)
        hashed = self._hashed(password, was.name)
        with self._file.writing() as db:
            sql = "UPDATE accounts SET password = ?, changed_ms = ? WHERE name = ?"
            db.execute(sql, (hashed, self._clock.now_ms(), was.name))
            self._sign_out(db, was.name)
            self._audit.add(db, by, "password.change", was.name, "done")

    def rehash(self, name: str, old: str, password: str) -> None:
        """The same password with today's parameters."""
        new = self._hashing.hash(password)
        with self._file.writing() as db:
            db.execute("UPDATE accounts SET password = ? WHERE name = ? AND password = ?", (new, name, old))

    def _hashed(self, password: str, name: str) -> str:
        if wrong := passwords.mistake(password, name):
            raise Declined(wrong)
        return self._hashing.hash(password)

    def _sign_out(self, db: sqlite3.Connection, name: str) -> None:
        db.execute("DELETE FROM sessions WHERE name = ? AND provider = ''", (name,))


def _some(role: Role) -> None:
    if role is Role.PUBLIC:
        raise Declined("everybody is public without an account")


def _account(row: Any) -> Account:
    name, display, password, role, tenants, disabled, made_ms, changed_ms = row
    return Account(name, display, Role(role), read(tenants), bool(disabled), password is None, made_ms, changed_ms)


def _rights(account: Account) -> str:
    return f"{account.role.name.lower()}, {said(account.tenants)}"

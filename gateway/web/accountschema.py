"""The schema of web.db: who has an account, who is signed in, which tokens there are, and who did what. Plain SQL."""

from __future__ import annotations

VERSION = 2
KEPT_MS = 2 * 366 * 86_400_000  # rows of the audit stay two years,
KEPT_ROWS = 200_000  # and no more than these, some 40 MB
KEPT_REFUSALS = 50_000  # some 8 MB

# Of version 1.
SCHEMA = f"""
-- tenants: a JSON list, NULL for all. password NULL: for machines, by tokens alone.
CREATE TABLE accounts (
  name TEXT PRIMARY KEY, display TEXT NOT NULL, password TEXT, role INTEGER NOT NULL, tenants TEXT,
  disabled INTEGER NOT NULL DEFAULT 0, made_ms INTEGER NOT NULL, changed_ms INTEGER NOT NULL) WITHOUT ROWID;

-- Of the secrets only the SHA-256. role and tenants stand here for people whom a provider knows (OIDC); those of a
-- local account are looked up at each request.
CREATE TABLE sessions (
  hash BLOB PRIMARY KEY, name TEXT NOT NULL, provider TEXT NOT NULL, role INTEGER, tenants TEXT,
  made_ms INTEGER NOT NULL, seen_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX sessions_name ON sessions (name);

CREATE TABLE tokens (
  id TEXT PRIMARY KEY, hash BLOB NOT NULL, name TEXT NOT NULL, label TEXT NOT NULL, scope TEXT NOT NULL, tenants TEXT,
  made_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, used_ms INTEGER, revoked_ms INTEGER) WITHOUT ROWID;
CREATE INDEX tokens_name ON tokens (name);

CREATE TABLE audit (
  id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, who TEXT NOT NULL, via TEXT NOT NULL,
  address TEXT NOT NULL, what TEXT NOT NULL, subject TEXT NOT NULL, outcome TEXT NOT NULL);
CREATE INDEX audit_at ON audit (at_ms);
CREATE TRIGGER audit_stands BEFORE UPDATE ON audit BEGIN
  SELECT raise(ABORT, 'the audit is append-only: what was done stays as it was written');
END;
CREATE TRIGGER audit_stays BEFORE DELETE ON audit
WHEN old.at_ms >= (SELECT at_ms FROM audit ORDER BY id DESC LIMIT 1) - {KEPT_MS}
 AND old.id > (SELECT max(id) FROM audit) - {KEPT_ROWS} BEGIN
  SELECT raise(ABORT, 'the audit is append-only: no row leaves it before its time');
END;
CREATE TRIGGER audit_grows BEFORE INSERT ON audit WHEN new.id IN (SELECT id FROM audit) BEGIN
  SELECT raise(ABORT, 'the audit is append-only: a number is given once');
END;
"""  # noqa: S608 - ours

# From each version to the next.
MIGRATIONS: dict[int, str] = {
    1: """
CREATE TABLE refusals (
  id INTEGER PRIMARY KEY AUTOINCREMENT, first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, address TEXT NOT NULL,
  via TEXT NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL, code TEXT NOT NULL, count INTEGER NOT NULL);
"""
}

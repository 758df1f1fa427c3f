"""The schema of the bridge's store, and how a store of an earlier version comes to it. Plain SQL, readable for whoever
opens the file with sqlite3."""

from __future__ import annotations

VERSION = 3

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- One series each; ids are short so that a row of observations stays short.
CREATE TABLE channels (
  id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, station TEXT NOT NULL, channel TEXT NOT NULL,
  quantity TEXT NOT NULL, UNIQUE (tenant, station, channel));

CREATE TABLE devices (
  tenant TEXT NOT NULL, device TEXT NOT NULL, opening TEXT, statement_ms INTEGER, status TEXT, birth TEXT,
  PRIMARY KEY (tenant, device)) WITHOUT ROWID;

-- The ledger. held_oldest and held_next are the device's latest word; NULL where it no longer lists the log.
CREATE TABLE logs (
  id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, device TEXT NOT NULL, log TEXT NOT NULL,
  top INTEGER NOT NULL, held_oldest INTEGER, held_next INTEGER, rejected TEXT NOT NULL,
  UNIQUE (tenant, device, log));
CREATE TABLE ranges (
  log_id INTEGER NOT NULL REFERENCES logs (id), kind TEXT NOT NULL, a INTEGER NOT NULL, b INTEGER NOT NULL,
  PRIMARY KEY (log_id, kind, a)) WITHOUT ROWID;

-- id never comes back, because cursors follow it. The second index is the series, and keeps a point single.
CREATE TABLE observations (
  id INTEGER PRIMARY KEY AUTOINCREMENT, channel_id INTEGER NOT NULL REFERENCES channels (id),
  observed_ms INTEGER NOT NULL, received_ms INTEGER NOT NULL, log_id INTEGER, seq INTEGER,
  record INTEGER NOT NULL, raw REAL, value REAL, flag INTEGER NOT NULL, tests TEXT, fault TEXT, clk TEXT,
  device TEXT NOT NULL);
CREATE UNIQUE INDEX observations_series ON observations (channel_id, observed_ms);

CREATE TABLE dead_letters (
  id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, tenant TEXT NOT NULL, device TEXT NOT NULL,
  topic TEXT NOT NULL, code TEXT NOT NULL, detail TEXT NOT NULL, payload BLOB, bytes INTEGER NOT NULL,
  received_ms INTEGER NOT NULL, log TEXT, seq INTEGER, record INTEGER NOT NULL, count INTEGER NOT NULL);
CREATE INDEX dead_letters_device ON dead_letters (tenant, device, id);

CREATE TABLE channel_states (channel_id INTEGER PRIMARY KEY REFERENCES channels (id), state TEXT NOT NULL);

CREATE TABLE episodes (
  tenant TEXT NOT NULL, id TEXT NOT NULL, station TEXT NOT NULL, opened_ms INTEGER NOT NULL,
  closed_ms INTEGER, max_rank INTEGER NOT NULL, PRIMARY KEY (tenant, id)) WITHOUT ROWID;

CREATE TABLE transitions (
  id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, tenant TEXT NOT NULL, station TEXT NOT NULL,
  channel TEXT NOT NULL, episode TEXT NOT NULL, change TEXT NOT NULL, from_rank INTEGER NOT NULL,
  to_rank INTEGER NOT NULL, at_ms INTEGER NOT NULL, value REAL, confirmed INTEGER NOT NULL,
  rings INTEGER NOT NULL, decided_ms INTEGER NOT NULL);

-- Notifications owed to people: owed, sent or given_up, with the reason.
CREATE TABLE outbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, medium TEXT NOT NULL, recipient TEXT NOT NULL,
  body TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, owed_ms INTEGER NOT NULL,
  done_ms INTEGER, reason TEXT);
CREATE INDEX outbox_owed ON outbox (recipient, id) WHERE state = 'owed';

CREATE TABLE cursors (name TEXT PRIMARY KEY, position INTEGER NOT NULL, at_ms INTEGER NOT NULL) WITHOUT ROWID;
"""

# Version 2: requests, notices, and the bounds of the store.
_BOUNDS = """
-- What page and CLI ask of the bridge, the only writer: applied in its next batch, and answered.
CREATE TABLE requests (
  id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, body TEXT NOT NULL, asked_by TEXT NOT NULL,
  asked_ms INTEGER NOT NULL, state TEXT NOT NULL DEFAULT 'asked', answer TEXT, done_ms INTEGER);
CREATE INDEX requests_asked ON requests (id) WHERE state = 'asked';

-- Conditions of the house itself; ended_ms is NULL while one lasts. An empty device: the bridge's own.
CREATE TABLE notices (
  id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, code TEXT NOT NULL, tenant TEXT NOT NULL,
  device TEXT NOT NULL, detail TEXT NOT NULL, since_ms INTEGER NOT NULL, ended_ms INTEGER);
CREATE INDEX notices_open ON notices (code) WHERE ended_ms IS NULL;

-- The latest statement's share of the spool that has no receipt, and the hours the device can still be offline.
ALTER TABLE devices ADD COLUMN used REAL;
ALTER TABLE devices ADD COLUMN hours REAL;

-- Rows that the store gave up above its ceiling before InfluxDB had them: how many, of which channel and time.
CREATE TABLE thinned (
  id INTEGER PRIMARY KEY AUTOINCREMENT, channel_id INTEGER NOT NULL REFERENCES channels (id), from_ms INTEGER NOT NULL,
  to_ms INTEGER NOT NULL, rows INTEGER NOT NULL, at_ms INTEGER NOT NULL);

-- What a channel measured last, of rows that are gone: else the next one would not know of a gap.
ALTER TABLE channels ADD COLUMN newest_ms INTEGER;

-- When InfluxDB had accepted everything up to a row; a few a day.
CREATE TABLE cursor_marks (position INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL);

-- Dead letters beyond the number of rows kept, by code. An empty device: of devices too many to be named.
CREATE TABLE letters_folded (
  tenant TEXT NOT NULL, device TEXT NOT NULL, code TEXT NOT NULL, count INTEGER NOT NULL, bytes INTEGER NOT NULL,
  from_ms INTEGER NOT NULL, to_ms INTEGER NOT NULL, PRIMARY KEY (tenant, device, code)) WITHOUT ROWID;

-- Dead letters that are no more, and what a person made of them: replayed or dropped.
CREATE TABLE letter_tallies (
  tenant TEXT NOT NULL, device TEXT NOT NULL, code TEXT NOT NULL, fate TEXT NOT NULL, letters INTEGER NOT NULL,
  PRIMARY KEY (tenant, device, code, fate)) WITHOUT ROWID;

-- One sample of 64: enough to find the time of any, for a fiftieth of what all of them would cost.
CREATE INDEX observations_marks ON observations (log_id, seq) WHERE seq % 64 = 1;
"""

# --- version 3: the alarm. A part for each subject.

# How the quality tests of a channel go on after a restart, and what was judged of an observation after it was stored.
# Real-time flags are never rewritten: an assessment is a row of its own.
_QUALITY = """
CREATE TABLE quality_states (channel_id INTEGER PRIMARY KEY REFERENCES channels (id), state TEXT NOT NULL);
CREATE TABLE assessments (
  id INTEGER PRIMARY KEY AUTOINCREMENT, channel_id INTEGER NOT NULL REFERENCES channels (id),
  observed_ms INTEGER NOT NULL, flag INTEGER NOT NULL, tests TEXT, assessed_ms INTEGER NOT NULL);
CREATE INDEX assessments_series ON assessments (channel_id, observed_ms);
-- They go with the observation that they speak of.
CREATE TRIGGER observations_gone AFTER DELETE ON observations BEGIN
  DELETE FROM assessments WHERE channel_id = old.channel_id AND observed_ms = old.observed_ms;
END;
"""

# Episodes: kind is station or cause (a common cause of silence, its station column is empty); state is JSON.
_EPISODES = """
ALTER TABLE episodes ADD COLUMN kind TEXT NOT NULL DEFAULT 'station';
ALTER TABLE episodes ADD COLUMN state TEXT NOT NULL DEFAULT '{}';
ALTER TABLE transitions ADD COLUMN level TEXT NOT NULL DEFAULT '';
"""

# What people do: the course of a call, mutes and maintenance that end by themselves.
_PEOPLE = """
-- Mutes and maintenance that last; how they began and ended is in the journal.
CREATE TABLE suspensions (
  kind TEXT NOT NULL, tenant TEXT NOT NULL, station TEXT NOT NULL, since_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL,
  by TEXT NOT NULL, note TEXT NOT NULL, rank INTEGER NOT NULL, PRIMARY KEY (kind, tenant, station)) WITHOUT ROWID;

-- Which recipients rang lately, as JSON: a phone rings a bounded number of times an hour.
CREATE TABLE rings (recipient TEXT PRIMARY KEY, recent TEXT NOT NULL) WITHOUT ROWID;

-- Who was asked in a test of the alarm, and who answered.
CREATE TABLE alert_tests (
  test TEXT NOT NULL, recipient TEXT NOT NULL, asked_ms INTEGER NOT NULL, answered_ms INTEGER, answered_by TEXT,
  PRIMARY KEY (test, recipient)) WITHOUT ROWID;
"""

# The chronology of the night, each row bound to the one before by its hash. Never pruned with readings.
_JOURNAL = """
-- at_ms: when it happened; recorded_ms: when it was written. hash: see gateway/journal.py.
CREATE TABLE journal (
  id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, recorded_ms INTEGER NOT NULL, kind TEXT NOT NULL,
  tenant TEXT NOT NULL, station TEXT NOT NULL, episode TEXT NOT NULL, by TEXT NOT NULL, body TEXT NOT NULL,
  hash TEXT NOT NULL);
CREATE INDEX journal_time ON journal (at_ms);
CREATE INDEX journal_station ON journal (tenant, station, id);
CREATE INDEX journal_thresholds ON journal (tenant, station, id) WHERE kind = 'thresholds';
CREATE TRIGGER journal_stands BEFORE UPDATE ON journal BEGIN
  SELECT raise(ABORT, 'the journal is append-only: a correction is a new row');
END;
CREATE TRIGGER journal_stays BEFORE DELETE ON journal BEGIN
  SELECT raise(ABORT, 'the journal is append-only: no row leaves it');
END;
-- INSERT OR REPLACE passes the other two by.
CREATE TRIGGER journal_grows BEFORE INSERT ON journal WHEN new.id IN (SELECT id FROM journal) BEGIN
  SELECT raise(ABORT, 'the journal is append-only: a number is given once');
END;
"""

# How far a notification is, beside whether it is owed, sent or given_up.
_OUTBOX = """
-- When what was not taken is tried again; its reason and attempts stand beside it while it is owed.
ALTER TABLE outbox ADD COLUMN next_ms INTEGER;
-- How often it was handed over once more, because a kill came between the hand-over and its record.
ALTER TABLE outbox ADD COLUMN again INTEGER NOT NULL DEFAULT 0;
CREATE INDEX outbox_sent ON outbox (medium, done_ms) WHERE state = 'sent';
"""

_CAP = """
-- CAP documents as they were made, so that a repeat is the same one. chain: the episode, or an order released in it;
-- message is the JSON that the document was made of; ends: nothing follows in its chain.
CREATE TABLE cap (
  id INTEGER PRIMARY KEY AUTOINCREMENT, identifier TEXT NOT NULL UNIQUE, sender TEXT NOT NULL, sent_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL, tenant TEXT NOT NULL, station TEXT NOT NULL, episode TEXT NOT NULL, chain TEXT NOT NULL,
  status TEXT NOT NULL, msg_type TEXT NOT NULL, scope TEXT NOT NULL, headline TEXT NOT NULL, ends INTEGER NOT NULL,
  message TEXT NOT NULL, document TEXT NOT NULL);
CREATE INDEX cap_chain ON cap (tenant, chain, id);
CREATE INDEX cap_sent ON cap (sent_ms);
"""

# How the sums of a rain gauge go on after a restart: JSON of `rain.State`.
_DERIVED = """
CREATE TABLE rain_states (channel_id INTEGER PRIMARY KEY REFERENCES channels (id), state TEXT NOT NULL);
"""

# MIGRATIONS[n] takes a store of version n to n + 1; SCHEMA is version 1, and a new file goes the same way.
MIGRATIONS: dict[int, str] = {1: _BOUNDS, 2: _QUALITY + _EPISODES + _PEOPLE + _JOURNAL + _OUTBOX + _CAP + _DERIVED}

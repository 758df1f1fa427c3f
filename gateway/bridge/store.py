"""The bridge's store: the only writer of the file. One batch is one transaction, and what it returned from is
durable."""

from __future__ import annotations

import logging
import os
import secrets
import sqlite3
from pathlib import Path

import msgspec

from gateway import letterfile, storefile
from gateway.births import agent_of, of_text
from gateway.bridge import caprows, derivedrows, journalrows, letterbox, peoplerows, prune, qualityrows
from gateway.bridge.abroad import Stood
from gateway.bridge.influx import CURSOR
from gateway.bridge.ledger import DeviceLedger, LogLedger
from gateway.bridge.notices import Notice
from gateway.bridge.work import Device, Memory, Series, Work
from gateway.channelstate import ChannelState
from gateway.disk import DISK, Disk, transaction
from gateway.errors import NoticeCode, RejectCode, Unavailable
from gateway.model import DeadLetter, Observation
from gateway.ranges import RangeSet
from gateway.stations import HEALTH_CHANNELS, Registry

log = logging.getLogger(__name__)

_INSERT = """INSERT INTO observations
 (channel_id, observed_ms, received_ms, log_id, seq, record, raw, value, flag, tests, fault, clk, device)
 VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)"""

Row = tuple[object, ...]

REQUESTS_KEPT = 1000  # answers, for whoever wants to know later who asked for what

# Content that the database refuses, as opposed to a disk that does not work now.
REFUSALS = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError, OverflowError, UnicodeEncodeError)


def _open(path: Path, disk: Disk) -> sqlite3.Connection:
    db = storefile.connect(path, write=True, disk=disk)
    try:
        found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise sqlite3.DatabaseError(" ".join(found.split())[:200])
        storefile.migrate(db, path, disk)
        db.execute("INSERT OR IGNORE INTO meta VALUES ('store', ?)", (secrets.token_hex(8),))
    except sqlite3.Error as e:
        db.close()
        raise storefile.unusable(path, e) from e
    except Unavailable:
        db.close()
        raise
    return db


class Store:
    """Opens, loads and writes the store. Raises Unavailable where the file cannot be used."""

    def __init__(self, path: Path, letter_bytes: int = 10_000_000, disk: Disk = DISK) -> None:
        self.path = path
        self.letter_bytes = letter_bytes
        self._lock = storefile.lock(path, "bridge")
        try:
            self._db = _open(path, disk)
        except Unavailable:
            os.close(self._lock)
            raise
        self._channels: dict[Series, int] = {}
        self._logs: dict[tuple[str, str, str], int] = {}

    @property
    def db(self) -> sqlite3.Connection:
        """The writer's connection, for what else belongs to the writer: making room."""
        return self._db

    def close(self) -> None:
        self._db.close()
        os.close(self._lock)

    def judge_by(self, digest: str, since_ms: int) -> bool:
        """Say by which stations and levels the bridge judges, for whoever shows them. False: the disk refused."""
        return self.note("judged_by", f"{digest} {since_ms}")

    def note(self, key: str, text: str) -> bool:
        """A word for other processes, or the next. False: the disk refused."""
        sql = "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2"
        try:
            self._db.execute(sql, (key, text))
        except sqlite3.Error:
            return False
        return True

    # --- load ------------------------------------------------------------------------------------------------

    def load(self) -> Memory:
        """What is committed, as the next batch needs it."""
        db = self._db
        memory = Memory(db.execute("SELECT value FROM meta WHERE key = 'store'").fetchone()[0])
        known = db.execute("SELECT id, tenant, station, channel, newest_ms FROM channels").fetchall()
        self._channels = {(t, s, c): i for i, t, s, c, _ in known}
        pruned = {(t, s, c): at or 0 for _, t, s, c, at in known}
        names = {i: series for series, i in self._channels.items()}
        newest = "SELECT max(observed_ms) FROM observations WHERE channel_id = ?"  # one step in the index each
        found = {series: db.execute(newest, (i,)).fetchone()[0] for i, series in names.items()}
        newest_of = {series: max(at or 0, pruned[series]) for series, at in found.items()}
        memory.newest = {series: at for series, at in newest_of.items() if at}
        last = db.execute("SELECT received_ms FROM observations ORDER BY id DESC LIMIT 1").fetchone()
        memory.last_commit_ms = last[0] if last else 0
        states = db.execute("SELECT channel_id, state FROM channel_states")
        memory.states = {names[i]: msgspec.json.decode(text, type=ChannelState) for i, text in states}
        memory.quality = qualityrows.states(db, names)
        memory.rains = derivedrows.states(db, names)
        rows = db.execute(f"{storefile.EPISODE} WHERE closed_ms IS NULL")
        open_episodes = [storefile.episode_of(row) for row in rows]
        memory.episodes = {episode.slot: episode for episode in open_episodes}
        rows = db.execute(
            "SELECT code, tenant, device, detail, since_ms FROM notices WHERE ended_ms IS NULL ORDER BY id"
        )
        open_ = [Notice(NoticeCode(code), *rest) for code, *rest in rows if code in NoticeCode._value2member_map_]
        memory.notices = {n.condition: n for n in open_}
        births = db.execute("SELECT tenant, device, birth FROM devices")
        memory.agents = {(t, d): agent_of(of_text(birth)) for t, d, birth in births}
        memory.suspensions, memory.phones = peoplerows.suspensions(db), peoplerows.phones(db)
        memory.in_force.events = journalrows.equipment(db)
        memory.in_force.recorded, memory.chains = journalrows.in_force(db), caprows.open_chains(db)
        memory.ledgers = self._load_ledgers()
        memory.there = self._there
        return memory

    def _there(self, series: Series, from_ms: int, to_ms: int) -> list[Stood]:
        sql = """SELECT observed_ms, raw, fault FROM observations
                 WHERE channel_id = ? AND observed_ms BETWEEN ? AND ? ORDER BY observed_ms"""
        return self._db.execute(sql, (self._channels.get(series), from_ms, to_ms)).fetchall()

    def _load_ledgers(self) -> dict[Device, DeviceLedger]:
        ledgers: dict[Device, DeviceLedger] = {}
        for tenant, device, opening in self._db.execute("SELECT tenant, device, opening FROM devices"):
            ledgers.setdefault((tenant, device), DeviceLedger()).opening = opening
        entries: dict[int, LogLedger] = {}
        rows = self._db.execute("SELECT id, tenant, device, log, top, held_oldest, held_next, rejected FROM logs")
        for i, tenant, device, name, top, oldest, next_, rejected in rows:
            entry = LogLedger(top=top, held=None if oldest is None else (oldest, next_))
            entry.rejected = msgspec.json.decode(rejected, type=list[tuple[int, int, str]])
            entries[i] = ledgers.setdefault((tenant, device), DeviceLedger()).logs[name] = entry
            self._logs[(tenant, device, name)] = i
        for i, kind, a, b in self._db.execute("SELECT log_id, kind, a, b FROM ranges ORDER BY log_id, a"):
            entries[i].kind(kind).add(a, b)
            entries[i].settled.add(a, b)
        for entry in entries.values():
            for ranges in (entry.settled, *entry.kinds.values()):
                ranges.changes.clear()
        return ledgers

    # --- commit ----------------------------------------------------------------------------------------------

    def commit(self, work: Work) -> None:
        """Write a batch whole or not at all. Raises sqlite3.Error; then nothing of it was written."""
        channels, logs = dict[Series, int](), dict[tuple[str, str, str], int]()
        db = self._db
        with transaction(db):
            letterfile.write(db, work.verdicts)
            self._write_ledgers(work, logs)
            self._write_observations(work, channels, logs)
            letterbox.write(db, work.letters, self.letter_bytes)
            qualityrows.write(db, work, lambda s: self._channel_id(s, channels, work.rules.registry))
            derivedrows.write(db, work, lambda s: self._channel_id(s, channels, work.rules.registry))
            journalrows.write(db, work)
            caprows.write(db, work)
            self._write_alerts(work, channels)
            self._write_devices(work)
            self._write_notices(work)
            peoplerows.write(db, work)
            self._write_jobs(work)
        self._channels |= channels
        self._logs |= logs

    def _channel_id(self, series: Series, new: dict[Series, int], registry: Registry) -> int:
        found = self._channels.get(series) or new.get(series)
        if found is None:
            known = registry.channel(*series)
            quantity = known.quantity if known else HEALTH_CHANNELS[series[2]]
            sql = "INSERT INTO channels (tenant, station, channel, quantity) VALUES (?,?,?,?) RETURNING id"
            found = int(self._db.execute(sql, (*series, quantity)).fetchone()[0])
            new[series] = found
        return found

    def _log_id(self, device: Device, name: str, new: dict[tuple[str, str, str], int]) -> int:
        key = (*device, name)
        found = self._logs.get(key) or new.get(key)
        if found is None:
            sql = "INSERT INTO logs (tenant, device, log, top, rejected) VALUES (?,?,?,0,'[]') RETURNING id"
            found = int(self._db.execute(sql, key).fetchone()[0])
            new[key] = found
        return found

    def _write_ledgers(self, work: Work, logs: dict[tuple[str, str, str], int]) -> None:
        for device, ledger in work.ledgers.items():
            for name in ledger.changed:
                entry, log_id = ledger.logs[name], self._log_id(device, name, logs)
                oldest, next_ = entry.held or (None, None)
                rejected = msgspec.json.encode(entry.rejected).decode()
                self._db.execute(
                    "UPDATE logs SET top = ?, held_oldest = ?, held_next = ?, rejected = ? WHERE id = ?",
                    (entry.top, oldest, next_, rejected, log_id),
                )
                for kind, ranges in entry.kinds.items():
                    self._write_ranges(log_id, kind, ranges)

    def _write_ranges(self, log_id: int, kind: str, ranges: RangeSet) -> None:
        dropped = [(log_id, kind, a) for a, b in ranges.changes.items() if b is None]
        there = [(log_id, kind, a, b) for a, b in ranges.changes.items() if b is not None]
        self._db.executemany("DELETE FROM ranges WHERE log_id = ? AND kind = ? AND a = ?", dropped)
        self._db.executemany("INSERT OR REPLACE INTO ranges VALUES (?,?,?,?)", there)

    def _write_observations(
        self, work: Work, channels: dict[Series, int], logs: dict[tuple[str, str, str], int]
    ) -> None:
        if not work.observations:
            return
        registry = work.rules.registry
        rows = [self._row(o, channels, logs, registry) for o in work.observations]
        self._db.execute("SAVEPOINT rows")
        try:
            self._db.executemany(_INSERT, rows)
        except sqlite3.IntegrityError:
            # Some sample meets a taken millisecond: go one by one, and move that one.
            self._db.execute("ROLLBACK TO rows")
            for o, row in zip(work.observations, rows, strict=True):
                self._insert_moved(work, o, row)
        self._db.execute("RELEASE rows")

    def _row(
        self, o: Observation, channels: dict[Series, int], logs: dict[tuple[str, str, str], int], registry: Registry
    ) -> Row:
        channel_id = self._channel_id((o.tenant, o.station, o.channel), channels, registry)
        log_id = self._log_id((o.tenant, o.device), o.log, logs) if o.log is not None else None
        tests = " ".join(o.tests) or None
        return (
            channel_id, o.observed_ms, o.received_ms, log_id, o.seq, o.record, o.raw, o.value, int(o.flag), tests,
            o.fault, o.clk.value, o.device,
        )  # fmt: skip

    def _insert_moved(self, work: Work, o: Observation, row: Row) -> None:
        """A different sample on a taken millisecond moves up by one, once; then it is a dead letter."""
        for shift in (0, 1):
            try:
                self._db.execute(_INSERT, (row[0], o.observed_ms + shift, *row[2:]))
            except sqlite3.IntegrityError:
                continue
            series = (o.tenant, o.station, o.channel)
            if o.observed_ms + shift > (work.previous(*series) or 0):
                work.newest[series] = o.observed_ms + shift
            return
        detail = f"{o.station}/{o.channel} at {o.observed_ms} ms"
        payload = msgspec.json.encode(o)
        code, kept = RejectCode.TIME_TAKEN, (o.log, o.seq, o.record)
        taken = DeadLetter(o.tenant, o.device, "", code, detail, payload, o.received_ms, *kept)
        letterbox.write(self._db, [taken], self.letter_bytes)

    def _write_alerts(self, work: Work, channels: dict[Series, int]) -> None:
        registry, now = work.rules.registry, work.rules.now_ms
        states = [
            (self._channel_id(series, channels, registry), msgspec.json.encode(state).decode())
            for series, state in work.states.items()
        ]
        self._db.executemany("INSERT OR REPLACE INTO channel_states VALUES (?,?)", states)
        self._db.executemany(
            "INSERT OR REPLACE INTO episodes VALUES (?,?,?,?,?,?,?,?)",
            [
                (e.tenant, e.id, e.station, e.opened_ms, e.closed_ms, e.max_rank, e.kind,
                 msgspec.json.encode(e.course).decode())
                for e in work.episodes.values()
            ],
        )  # fmt: skip
        # The keys are facts: a restored store that sees the same night again must not raise them a second time.
        self._db.executemany(
            """INSERT OR IGNORE INTO transitions (key, tenant, station, channel, episode, change, from_rank, to_rank,
               at_ms, value, confirmed, rings, decided_ms, level) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)""",
            [
                (t.key, t.tenant, t.station, t.channel, t.episode, t.change.value, t.from_rank, t.to_rank, t.at_ms,
                 t.value, t.confirmed, t.rings, now, t.level)
                for t in work.transitions
            ],
        )  # fmt: skip
        self._db.executemany(
            "INSERT OR IGNORE INTO outbox (key, medium, recipient, body, state, owed_ms) VALUES (?,?,?,?,'owed',?)",
            [(x.key, x.medium, x.recipient, x.body, x.owed_ms) for x in work.owed if x.stands],
        )

    def _write_devices(self, work: Work) -> None:
        for (tenant, device), said in work.statements.items():
            self._db.execute(
                """INSERT INTO devices (tenant, device, opening, statement_ms, used, hours) VALUES (?,?,?,?,?,?)
                   ON CONFLICT DO UPDATE SET opening = excluded.opening, statement_ms = excluded.statement_ms,
                   used = excluded.used, hours = excluded.hours""",
                (tenant, device, said.opening, work.rules.now_ms, said.used, said.hours),
            )
        for note in work.notes:
            column = "birth" if note.kind == "birth" else "status"
            self._db.execute(
                f"""INSERT INTO devices (tenant, device, {column}) VALUES (?,?,?)
                    ON CONFLICT DO UPDATE SET {column} = excluded.{column}""",  # noqa: S608 - one of two words
                (note.tenant, note.device, note.text),
            )

    def _write_notices(self, work: Work) -> None:
        self._db.executemany(
            """INSERT INTO notices (key, code, tenant, device, detail, since_ms, ended_ms) VALUES (?,?,?,?,?,?,?)
               ON CONFLICT (key) DO UPDATE SET ended_ms = excluded.ended_ms""",
            [
                (n.key, n.code.value, n.tenant, n.device, n.detail, n.since_ms, n.ended_ms)
                for n in work.notices.values()
            ],
        )

    def _write_jobs(self, work: Work) -> None:
        now = work.rules.now_ms
        for reply in work.replies:
            self._db.execute(
                "UPDATE requests SET state = ?, answer = ?, done_ms = ? WHERE id = ?",
                (reply.state, reply.answer, now, reply.request),
            )
            self._db.execute(
                "DELETE FROM requests WHERE id <= ? AND state <> 'asked'", (reply.request - REQUESTS_KEPT,)
            )
        self._db.executemany(
            """UPDATE outbox SET state = ?, attempts = ?, reason = ?, done_ms = ?, next_ms = ?, again = again + ?
               WHERE id = ?""",
            [
                ("owed", j.attempts, j.reason, None, j.next_ms, j.again, j.outbox_id)
                if j.state == "retry"
                else (j.state, j.attempts, j.reason, now, None, j.again, j.outbox_id)
                for j in work.jobs
            ],
        )
        self._db.executemany(
            "INSERT OR REPLACE INTO cursors VALUES (?,?,?)", [(name, at, now) for name, at in work.cursors.items()]
        )
        if CURSOR in work.cursors:
            prune.mark(self._db, work.cursors[CURSOR], now)

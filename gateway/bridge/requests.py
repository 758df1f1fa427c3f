"""What page and command line ask of the bridge, the only writer of the store: each request is read from its row,
applied in a batch of its own, and answered in the same transaction.

A request is done in parts where it is long, its position kept in its row: so it goes on after a restart, and no batch
keeps live data waiting. What the database refuses spoils one letter, never the request, and no request the bridge.
"""

from __future__ import annotations

import functools
import logging
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from gateway import foreign, journalfile, letterfile, letters, settings, storefile
from gateway.bridge import abroad, acts, recording
from gateway.bridge.act import Act, Refused
from gateway.bridge.commanding import Commands, RemoteRequest
from gateway.bridge.influx import CURSOR
from gateway.bridge.ledger import STORED
from gateway.bridge.reloading import Reloader
from gateway.bridge.rows import Reply
from gateway.bridge.store import REFUSALS, Store
from gateway.bridge.work import Memory, Rules, Work
from gateway.disk import DISK, Disk
from gateway.episodes import Episode
from gateway.errors import ActCode, RejectCode, Unavailable
from gateway.journal import Row
from gateway.letterfile import Choice
from gateway.letters import Hopeless, Letter, Verdict
from gateway.model import Message
from gateway.pipeline import Judgement, Processed

log = logging.getLogger(__name__)

RELOAD, REMOTE = "reload", "remote"
AT_ONCE = 20  # requests looked at between two batches of messages
Resend = Callable[[list[Letter]], None]

_ASKED = "SELECT id, kind, body, asked_by, answer FROM requests WHERE state = 'asked' ORDER BY id LIMIT ?"


@dataclass(frozen=True, slots=True)
class Request:
    """One row. `progress` is what was done of it so far."""

    id: int
    kind: str
    body: str
    asked_by: str
    progress: str | None


@dataclass(slots=True)
class Batch:
    """A part of a request under way: at most `limit` letters. `blamed`: the database refused the one letter of it."""

    work: Work
    request: Request
    limit: int = letterfile.PAGE
    blamed: bool = False
    resend: list[Letter] = field(default_factory=list)


class LetterRequest(msgspec.Struct, forbid_unknown_fields=True):
    """`configuration` is the digest of the stations that whoever asks has read; a bridge that runs by others would
    only fail the letters again."""

    choice: Choice
    configuration: str | None = None


class RefillRequest(msgspec.Struct, forbid_unknown_fields=True):
    since_ms: int


class Progress(msgspec.Struct):
    """What an answer says. `stored` are observations (one that meets two others at its millisecond is a letter again),
    `stored_before` letters whose samples had come by another way,
    `resent` points under way to InfluxDB, `again` letters that stay by their present code, `cannot` by reason."""

    position: int = 0
    letters: int = 0
    stored: int = 0
    stored_before: int = 0
    resent: int = 0
    dropped: int = 0
    again: dict[str, int] = {}
    cannot: dict[str, int] = {}


def _briefly(kind: str, answer: str) -> str:
    """For the log, which leaves the house: what a device said of itself and its readings stands in the answer alone,
    and so does a refusal that names a value."""
    said = msgspec.json.decode(answer)
    facts = said.pop("facts", {}) if isinstance(said, dict) else {}
    if kind != REMOTE and not facts:
        return answer
    hidden = {"data"} if kind == REMOTE else {"reason"} if "value" in facts else set()
    brief = {key: x for key, x in said.items() if key not in hidden} if isinstance(said, dict) else {}
    return msgspec.json.encode(brief).decode()


def _what(request: Request) -> str:
    """For the log; which command to which device. Nothing of what it says to it, which may be a configuration."""
    if request.kind != REMOTE:
        return request.kind
    try:
        said = _decode(request.body, RemoteRequest)
    except msgspec.DecodeError:
        return request.kind
    return f"{request.kind} {said.command.command} of {said.tenant}/{said.device}"


class Requests:
    """Applies requests. `resend` takes letters whose points InfluxDB refused, None where there is no InfluxDB running;
    `rewind` is told the new position of its cursor once that is committed."""

    def __init__(
        self,
        path: Path,
        resend: Resend | None = None,
        rewind: Callable[[int], None] | None = None,
        disk: Disk = DISK,
        reloader: Reloader | None = None,
        commands: Commands | None = None,
    ) -> None:
        self._reloader, self._commands = reloader, commands
        self._path, self._resend, self._rewind, self._disk = path, resend, rewind, disk
        self._readable = True
        self._kinds: dict[str, Callable[[Batch], Reply]] = {
            "letters.replay": self._replay,
            "letters.drop": self._drop,
            "refill": self._refill,
            RELOAD: self._reload,
            REMOTE: self._remote,
            **{kind: functools.partial(self._act, act) for kind, act in acts.KINDS.items()},
            **{kind: functools.partial(self._record, act) for kind, act in recording.KINDS.items()},
        }

    def serve(self, memory: Memory, rules: Callable[[], Rules], write: Callable[[Work], None]) -> bool:
        """Apply what is asked now, each part in a transaction of its own; whether anything was. Never raises for what
        a request says. `write` commits a batch and lets memory follow."""
        try:
            rows = storefile.rows(self._path, _ASKED, (AT_ONCE,), self._disk)
            for request in (Request(*row) for row in rows):
                if not any(x is not None and x.waits(request.id) for x in (self._reloader, self._commands)):
                    self._one(request, memory, rules, write)
        except (Unavailable, sqlite3.OperationalError) as e:
            if self._readable:
                log.error("requests wait: %s", e)
            self._readable = False
            return False
        self._readable = True
        return bool(rows)

    def _one(self, request: Request, memory: Memory, rules: Callable[[], Rules], write: Callable[[Work], None]) -> None:
        for limit, blamed in ((letterfile.PAGE, False), (1, False), (1, True)):
            batch = Batch(Work(memory, rules()), request, limit, blamed)
            reply = self._apply(batch)
            batch.work.replies.append(reply)
            try:
                write(batch.work)
            except REFUSALS as e:
                log.warning("request %d (%s) meets what the database refuses: %s", request.id, request.kind, e)
                continue
            self._committed(batch, reply)
            return
        work = Work(memory, rules())
        work.replies.append(_refused(request, Refused(ActCode.NOT_WRITTEN, ActCode.NOT_WRITTEN.sentence)))
        write(work)

    def _apply(self, batch: Batch) -> Reply:
        request = batch.request
        apply = self._kinds.get(request.kind)
        try:
            if apply is None:
                why = f"this bridge does not know how to '{request.kind}': it is of another version"
                raise Refused(ActCode.UNKNOWN_ACT, why, kind=request.kind)
            return apply(batch)
        except Refused as e:
            batch.work = Work(batch.work.memory, batch.work.rules)  # nothing of it may be half done
            return _refused(request, e)
        except (msgspec.DecodeError, ValueError, LookupError, OverflowError) as e:
            batch.work = Work(batch.work.memory, batch.work.rules)  # nothing of it may be half done
            batch.resend.clear()
            return _refused(request, Refused(ActCode.UNREADABLE, f"it cannot be read: {e}", why=str(e)))

    def _committed(self, batch: Batch, reply: Reply) -> None:
        if self._resend and batch.resend:
            self._resend(batch.resend)
        if self._rewind and CURSOR in batch.work.cursors:
            self._rewind(batch.work.cursors[CURSOR])
        if reply.state != "asked":
            log.info(
                "%s asked for %s: %s, %s",
                batch.request.asked_by,
                _what(batch.request),
                reply.state,
                _briefly(batch.request.kind, reply.answer),
            )

    # --- dead letters ----------------------------------------------------------------------------------------

    def _letters(self, batch: Batch, said: LetterRequest) -> tuple[Progress, list[Letter], bool]:
        """What was done so far, the letters of this part, and whether they are the last."""
        done = _decode(batch.request.progress, Progress) if batch.request.progress else Progress()
        found, after = letterfile.page(self._path, said.choice, done.position, batch.limit, self._disk)
        done.position = after if after is not None else done.position
        done.letters += len(found)
        return done, found, after is None

    def _drop(self, batch: Batch) -> Reply:
        done, found, last = self._letters(batch, _decode(batch.request.body, LetterRequest))
        batch.work.verdicts += [Verdict(x.id, "dropped") for x in found]
        done.dropped += len(found)
        return _reply(batch.request, done, last)

    def _replay(self, batch: Batch) -> Reply:
        said = _decode(batch.request.body, LetterRequest)
        if said.configuration not in (None, batch.work.rules.registry.digest()):
            raise Refused(
                ActCode.OTHER_STATIONS,
                "the bridge works by another stations.yaml than the one read here, and would judge by that. "
                "Reload it (suimon bridge reload), then replay",
            )
        done, found, last = self._letters(batch, said)
        for letter in found:
            self._again(batch, letter, done)
        return _reply(batch.request, done, last)

    def _again(self, batch: Batch, letter: Letter, done: Progress) -> None:
        """Give one letter its fate: away, because all of it is settled otherwise, or kept with its present reason."""
        work = batch.work
        if batch.blamed:
            _keep(work, letter, RejectCode.UNSTORABLE, "refused by the database", done)
            return
        try:
            if letter.code is RejectCode.UNWRITABLE:
                self._send_again(batch, letter, done)
                return
            if letter.code is RejectCode.TIME_TAKEN and not self._room(letter):
                _keep(work, letter, letter.code, letter.detail, done)
                return
            if letters.from_abroad(letter) and foreign.found(work.rules.bridge.sources, letter.topic):
                _abroad(work, letter, done)
                return
            out = letters.again(letter, self._judgement(work, letter))
        except Hopeless as e:
            done.cannot[str(e)] = done.cannot.get(str(e), 0) + 1
            return
        kept = letters.failed(letter, out)
        if kept is not None:
            _keep(work, letter, kept.code, kept.detail, done)
            return
        _settle(work, letter, out)
        done.stored += len(out.observations)
        done.stored_before += not out.observations and not out.letters
        for x in out.letters:
            done.again[x.code.value] = done.again.get(x.code.value, 0) + 1

    def _judgement(self, work: Work, letter: Letter) -> Judgement:
        """Of a whole message, what was settled by another copy is not taken again. One that the database had refused
        settled its samples itself: of these only what is stored now, or stands in a letter of its own, is another's."""
        ledger = work.ledger((letter.tenant, letter.device))

        def by_another(name: str, seq: int) -> bool:
            entry = ledger.logs.get(name)
            if entry is None or not entry.arrived(seq):
                return False
            if STORED in entry.kinds and seq in entry.kinds[STORED]:
                return True
            return letterfile.has_record(self._path, letter.tenant, letter.device, name, seq, self._disk)

        settled = by_another if letter.code is RejectCode.UNSTORABLE else ledger.arrived
        rules = work.rules
        return Judgement(rules.registry, rules.future_ms, settled, work.previous, rules.bridge.max_payload)

    def _room(self, letter: Letter) -> bool:
        """Whether its millisecond, or the next, is free by now."""
        observation = msgspec.json.decode(letter.payload or b"null")
        sql = """SELECT count(*) FROM observations o JOIN channels c ON c.id = o.channel_id
                 WHERE c.tenant = ? AND c.station = ? AND c.channel = ? AND o.observed_ms BETWEEN ? AND ?"""
        series, at = [observation[k] for k in ("tenant", "station", "channel")], observation["observed_ms"]
        return int(storefile.rows(self._path, sql, (*series, at, at + 1), self._disk)[0][0]) < 2

    def _send_again(self, batch: Batch, letter: Letter, done: Progress) -> None:
        if self._resend is None:
            raise Hopeless("points are sent by a running bridge that has an InfluxDB")
        if letter.payload is None:
            raise Hopeless("its bytes were given up for space")
        batch.resend.append(letter)
        done.resent += 1

    # --- what people do about alerts -------------------------------------------------------------------------

    def _act(self, act: Callable[[Act], acts.Done], batch: Batch) -> Reply:
        request = batch.request
        done = act(Act(batch.work, request.body, request.asked_by, self._past_episodes))
        return Reply(request.id, "done", msgspec.json.encode(done).decode())

    def _record(self, act: Callable[[Act, recording.Journal], acts.Done], batch: Batch) -> Reply:
        def row(number: int) -> Row | None:
            return journalfile.row(self._path, number, self._disk)

        known = recording.Journal(row, lambda: journalfile.last(self._path, self._disk)[0])
        return self._act(lambda one: act(one, known), batch)

    def _past_episodes(self, name: str) -> list[Episode]:
        return storefile.episodes(self._path, name, self._disk)

    # --- the configuration -----------------------------------------------------------------------------------

    def _reload(self, batch: Batch) -> Reply:
        """Asked of the reloader, and answered once it has read and swapped, or refused. After a kill in between the
        next process has the new files from its start, and says that nothing has changed."""
        request, reloader = batch.request, self._reloader
        if reloader is None or not reloader.can:
            raise Refused(ActCode.NOT_RUNNING, "only a running bridge can take over another configuration; start it")
        answer = reloader.answer(request.id)
        if answer is None:
            reloader.ask(request.id)
            return Reply(request.id, "asked", '{"stage":"reading"}')
        return Reply(request.id, *answer)

    # --- commands to devices ---------------------------------------------------------------------------------

    def _remote(self, batch: Batch) -> Reply:
        said = _decode(batch.request.body, RemoteRequest)
        if self._commands is None:
            raise Refused(ActCode.NOT_RUNNING, "commands are sent by a running bridge; start it")
        if not batch.work.rules.registry.knows_device(said.tenant, said.device):
            why = f"no station of stations.yaml has the device {said.tenant}/{said.device}"
            raise Refused(ActCode.NO_DEVICE, why, name=said.device)
        return Reply(batch.request.id, *self._commands.look(batch.request.id, said))

    # --- InfluxDB --------------------------------------------------------------------------------------------

    def _refill(self, batch: Batch) -> Reply:
        """InfluxDB gets again whatever arrived since."""
        said = _decode(batch.request.body, RefillRequest)
        if batch.work.rules.bridge.influx is None:
            raise Refused(ActCode.NO_INFLUX, ActCode.NO_INFLUX.sentence)
        position, rows = storefile.refill(self._path, CURSOR, said.since_ms, self._disk)
        if not rows:
            raise Refused(ActCode.NOTHING_TO_SEND, ActCode.NOTHING_TO_SEND.sentence)
        batch.work.cursors[CURSOR] = position
        answer = msgspec.json.encode({"position": position, "rows": rows}).decode()
        return Reply(batch.request.id, "done", answer)


def _decode(text: str, kind: type[Any]) -> Any:
    return msgspec.json.decode(text, type=kind)


def _reply(request: Request, done: Progress, last: bool) -> Reply:
    return Reply(request.id, "done" if last else "asked", msgspec.json.encode(done).decode())


def _refused(request: Request, why: Refused) -> Reply:
    return Reply(request.id, "refused", msgspec.json.encode(why.answer).decode())


def _keep(work: Work, letter: Letter, code: RejectCode, detail: str, done: Progress) -> None:
    work.verdicts.append(Verdict(letter.id, "again", code, detail))
    done.again[code.value] = done.again.get(code.value, 0) + 1


def _abroad(work: Work, letter: Letter, done: Progress) -> None:
    """A message of a device of others, by its source as it is now. It was counted when it came."""
    counted, before, rows = work.counts.copy(), len(work.letters), len(work.observations)
    abroad.take(work, Message(letter.topic, letter.payload or b"", letter.received_ms), live=False)
    stored = work.counts["accepted"] - counted["accepted"]
    work.counts.clear()
    work.counts.update(counted)
    new = work.letters[before:]
    if any(x.seq is None for x in new):
        del work.letters[before:]
        _keep(work, letter, new[0].code, new[0].detail, done)
        return
    work.verdicts.append(Verdict(letter.id, "replayed"))
    work.counts["replayed"] += stored
    done.stored += sum(o.log is not None for o in work.observations[rows:])
    done.stored_before += not stored and not new
    for x in new:
        done.again[x.code.value] = done.again.get(x.code.value, 0) + 1


def _settle(work: Work, letter: Letter, out: Processed) -> None:
    """The letter goes; its samples are settled by what came of it, and the device is told."""
    device = (letter.tenant, letter.device)
    ledger = work.ledger(device)
    accepted = {(o.log, o.seq) for o in out.observations if o.log is not None and o.seq is not None}
    for log_name, seq in accepted:
        ledger.accept(log_name, seq)
    for log_name, seq, code in out.rejected:
        if not ledger.arrived(log_name, seq):
            ledger.reject(log_name, seq, code)
    work.letters += out.letters
    work.observe(out.observations)
    work.verdicts.append(Verdict(letter.id, "replayed"))
    work.counts["replayed"] += len(accepted)
    work.due.setdefault(device, False)


def alone(bridge: settings.Bridge, rules: Callable[[Memory], Rules], request: int) -> None:
    """Do what was asked while no bridge runs, by the same code. Raises Unavailable where one does."""
    store = Store(bridge.store, bridge.letter_bytes_per_device)
    try:
        memory = store.load()

        def write(work: Work) -> None:
            store.commit(work)
            work.swap_in()

        while storefile.rows(bridge.store, "SELECT 1 FROM requests WHERE id = ? AND state = 'asked'", (request,)):
            if not Requests(bridge.store).serve(memory, lambda: rules(memory), write):
                raise Unavailable(f"the store {bridge.store} cannot be written; nothing more was done")
    finally:
        store.close()

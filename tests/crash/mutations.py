"""Promises broken on purpose: each change is made in a scratch copy of the tree, and each test that is named for it
must fail there. `make mutations`, or `python -m tests.crash.mutations WORD ...` for those whose name has the words.

Exits 1 where a test did not tell, and where the text to be broken is not in the code any more: then the mutation is
to be written again, or the promise is gone. Prints the table of `tests/crash/README.md`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.crash.mutation import Mutation as Mutation
from tests.crash.mutations_accounts import WHO
from tests.crash.mutations_alarm import ALARM
from tests.crash.mutations_page import PAGE

ROOT = Path(__file__).parents[2]
COPIED = ["gateway", "simulators", "tests", "device_profiles", "pyproject.toml", "README.md"]

LIVES = "tests/test_receipts_property.py::test_the_account_closes_after_any_life"
LOSING = "tests/test_receipts_property.py::test_the_account_closes_on_disks_that_lose_power"
CARD = "tests/crash/test_power_spool.py::test_what_the_spool_committed_survives_any_power_cut"
STORE = "tests/crash/test_power_store.py::test_the_store_is_what_a_commit_left_after_any_power_cut"
ACKS = "tests/crash/test_power_store.py::test_what_the_bridge_acknowledged_survives_any_power_cut"
BACKUP = "tests/crash/test_power_store.py::test_a_backup_that_was_said_to_be_written_survives_any_power_cut"
RESTORE = "tests/crash/test_power_store.py::test_a_power_cut_while_a_backup_is_restored_leaves_the_one_or_the_other"
ASIDE = (
    "tests/crash/test_power_spool.py::test_a_power_cut_while_a_damaged_spool_is_set_aside_keeps_it_and_a_working_one"
)
ORDER = "tests/test_service.py::test_commit_then_acknowledge_then_receipt"
REFUSED = "tests/test_service.py::test_what_the_disk_refuses_is_neither_acknowledged_nor_promised"
BELIEVED = "tests/test_uplink.py::test_what_is_not_believed"
IDS = "tests/test_store.py::test_ids_never_come_back"

SPOOL, SPOOLFILE, UPLINK = "gateway/edge/spool.py", "gateway/edge/spoolfile.py", "gateway/edge/uplink.py"
QUALITY, FOREIGN = "gateway/quality.py", "gateway/foreign.py"
SOURCES = "tests/test_sources.py::"
EVERY_FAULT = "tests/test_foreign_devices.py::test_all_faults_of_all_formats"
BACKLOG, DATING = "gateway/edge/backlog.py", "gateway/edge/dating.py"
STOREFILE, BRIDGE, WORK, LEDGER = (
    "gateway/storefile.py",
    "gateway/bridge/service.py",
    "gateway/bridge/work.py",
    "gateway/bridge/ledger.py",
)


def plain_ids(table: str, columns: str) -> Mutation:
    head = f"CREATE TABLE {table} (\n  id INTEGER PRIMARY KEY"
    old, new = f"{head} AUTOINCREMENT, {columns}", f"{head}, {columns}"
    return Mutation(f"{table} without AUTOINCREMENT", "gateway/storeschema.py", old, new, (IDS,))


SYNC_SPOOL, SYNC_STORE = 'db.execute("PRAGMA synchronous = FULL")', 'db.execute("PRAGMA synchronous = FULL")'
TO_COMMIT = "        try:\n            self._commit([a.message for a in arrivals])\n"
COMMITTED = """        self._store.commit(work)
"""
RESCUE = "gateway/edge/rescue.py"
ROOM, WRITE_GONE = "gateway/edge/room.py", "            entry.write_gone(self._db, new)\n"
RECEIPT_CHECK = "if receipt.opening != self._spool.opening or receipt.store != self._store:"
JOURNAL, CAP = "tests/test_journal.py::", "tests/test_cap.py::"

MUTATIONS = [
    # --- the disk
    Mutation("`synchronous=NORMAL`, spool", SPOOLFILE, SYNC_SPOOL, SYNC_SPOOL.replace("FULL", "NORMAL"),
             (CARD, LOSING, "tests/test_spool.py::test_commits_are_durable_at_their_return")),
    Mutation("`synchronous=OFF`, spool", SPOOLFILE, SYNC_SPOOL, SYNC_SPOOL.replace("FULL", "OFF"), (CARD, LOSING)),
    Mutation("`synchronous=NORMAL`, store", STOREFILE, SYNC_STORE, SYNC_STORE.replace("FULL", "NORMAL"),
             (STORE, ACKS, LOSING, "tests/test_store.py::test_commits_are_durable_at_their_return")),
    Mutation("`synchronous=OFF`, store", STOREFILE, SYNC_STORE, SYNC_STORE.replace("FULL", "OFF"),
             (STORE, ACKS, LOSING)),
    Mutation("no write-ahead log and no journal, spool", SPOOLFILE, 'db.execute("PRAGMA journal_mode = WAL")',
             'db.execute("PRAGMA journal_mode = OFF")', (CARD,)),
    Mutation("folder not synced after a backup", STOREFILE, "    disk.sync_folder(target.absolute().parent)\n", "",
             (BACKUP,)),
    Mutation("folder not synced after a restore", STOREFILE,
             "        disk.rename(new, store)\n        disk.sync_folder(store.parent)\n",
             "        disk.rename(new, store)\n", (RESTORE,)),
    Mutation("folder not synced before the restored store takes the name", STOREFILE,
             "    disk.link(store, kept)\n    disk.sync_folder(store.parent)\n", "    disk.link(store, kept)\n",
             (RESTORE,)),
    Mutation("the former store's name is given up before the restored one has it", STOREFILE,
             "    disk.link(store, kept)\n", "    disk.rename(store, kept)\n", (RESTORE,)),
    Mutation("folder not synced between the damaged spool's new name and the new spool's", RESCUE,
             "    disk.rename(path, aside)\n    disk.sync_folder(path.parent)\n    _finish(path, disk)\n",
             "    disk.rename(path, aside)\n    disk.rename(new, path)\n    disk.sync_folder(path.parent)\n", (ASIDE,)),
    Mutation("thinned in one transaction, declared in another", ROOM, WRITE_GONE,
             WRITE_GONE + '            self._db.execute("COMMIT")\n            self._db.execute("BEGIN IMMEDIATE")\n',
             (CARD,)),
    Mutation("a batch in two transactions", "gateway/bridge/store.py",
             "            self._write_alerts(work, channels)\n",
             '            db.execute("COMMIT")\n            db.execute("BEGIN IMMEDIATE")\n'
             "            self._write_alerts(work, channels)\n", (STORE,)),
    Mutation("a count that begins is thinned away like any other sample", "gateway/edge/thinning.py",
             "if part := self._sparing(log, a, b):", "if part := (a, b):",
             ("tests/test_spool_space.py::test_a_count_that_begins_again_is_never_thinned_away",)),
    Mutation("full memory gives up a count that begins", "gateway/edge/grouped.py",
             "else [s for s in self._samples if not s.begins]", "else list(self._samples)",
             ("tests/test_spool_space.py::test_memory_that_is_full_keeps_a_count_that_begins",)),
    Mutation("a Modbus answer of another length is a reading", "gateway/edge/modbus.py",
             "if len(answer.registers) != count:", "if not answer.registers:",
             ("tests/test_modbus_random.py::test_an_answer_to_another_question",)),
    # --- the bridge's order
    Mutation("acknowledgement before commit", BRIDGE, TO_COMMIT, "        self.receiver.done(arrivals)\n" + TO_COMMIT,
             (ORDER, ACKS, REFUSED)),
    Mutation("receipt before commit, with a disk that refuses", BRIDGE, COMMITTED,
             "        self._receipts.due(work.due)\n" + COMMITTED, (REFUSED, ORDER)),
    Mutation("receipt before acknowledgement", BRIDGE,
             "        self.receiver.done(arrivals)\n        self._finish_batch()\n        return True\n",
             "        self._finish_batch()\n        self.receiver.done(arrivals)\n        return True\n", (ORDER,)),
    Mutation("receipt only on change: data", WORK,
             "            self.due[device] = self.due.get(device, False) or live\n",
             "            if out.stored or out.rejected:\n"
             "                self.due[device] = self.due.get(device, False) or live\n",
             ("tests/test_service.py::test_a_duplicate_makes_a_receipt_due",)),
    Mutation("the ledger advanced in memory though the commit failed", BRIDGE, COMMITTED,
             "        work.swap_in()\n" + COMMITTED, (REFUSED,)),
    Mutation("the ledger changed in place, not in a copy", WORK, "committed.copy() if committed else DeviceLedger()",
             "committed if committed else DeviceLedger()", (LIVES,)),
    # --- the device
    Mutation("a row settled on PUBACK", UPLINK, 'if self._edge.delivery == "puback":', "if True:",
             ("tests/test_uplink.py::test_a_puback_settles_nothing", LIVES)),
    Mutation("a log kept across openings", SPOOL, "        self.opening = secrets.token_hex(6)\n",
             '        self.opening = "7d1f9c2ab4e0"\n',
             ("tests/test_spool.py::test_every_opening_begins_a_log_of_its_own_and_rows_keep_theirs", LIVES, CARD)),
    Mutation("a receipt of an earlier opening believed", UPLINK, RECEIPT_CHECK,
             "if receipt.store != self._store:", (BELIEVED,)),
    Mutation("a receipt of another store believed", UPLINK, RECEIPT_CHECK,
             "if receipt.opening != self._spool.opening:", (BELIEVED,)),
    Mutation("another store does not unsettle", UPLINK,
             "            self._statement_due = 0.0\n            self._spool.unsettle()\n",
             "            self._statement_due = 0.0\n",
             ("tests/test_uplink.py::test_another_store_unsettles_everything",)),
    Mutation("an opening believes what an earlier one was told", SPOOL,
             "        self._settled: dict[str, RangeSet] = {}\n",
             '        self._settled: dict[str, RangeSet] = self.__class__.__dict__.get("_kept", {})\n'
             "        type(self)._kept = self._settled\n",
             ("tests/test_spool.py::test_nothing_is_settled_after_an_opening",)),
    Mutation("a store that goes back is looked for in `through` alone", "gateway/edge/held.py",
             " or any(said.missing(max(a, floor), b) for a, b in known)\n", "\n",
             ("tests/test_uplink.py::test_a_store_that_goes_back_is_known_by_its_ranges_too",)),
    Mutation("a pack over a sample that is on its way", BACKLOG, "between is not None and between < high", "False",
             ("tests/test_uplink.py::test_a_span_speaks_of_no_sample_that_is_on_its_way",)),
    Mutation("a span from `through`, whatever is held below its pack", BACKLOG,
             "max(self._spool.through(name), on_its_way, left) + 1", "self._spool.through(name) + 1",
             ("tests/test_uplink.py::test_the_order_is_configured", LIVES)),
    Mutation("set aside without the pauses between its sends", UPLINK, "now + ALONE_PAUSE_S[times - 1]", "now",
             ("tests/test_uplink.py::test_what_fails_alone_is_set_aside_and_declared",)),
    Mutation("a time-out counts as a failed send", UPLINK,
             "            self._flights.land_all(flight)\n            self._resend_s = max",
             "            for key in list(flight.keys):\n                self._passed_over([(flight, key)])\n"
             "            self._resend_s = max",
             ("tests/test_uplink.py::test_without_a_later_settled_one_nothing_is_set_aside",)),
    Mutation("an age sent while the bridge is offline", UPLINK,
             "return there and not self._flights.stalled(self._now() - STALLED_S)",
             "return not self._flights.stalled(self._now() - STALLED_S)",
             ("tests/test_dating.py::test_no_age_is_sent_where_it_would_wait",)),
    Mutation("a date that is not frozen", DATING,
             "        self._spool.date(sample.log, sample.seq, observed_ms, clk)\n", "",
             ("tests/test_dating.py::test_a_frozen_time_stays",
              "tests/test_dating.py::test_a_boot_dates_what_it_can_before_the_next")),
    Mutation("thinned and not declared on the card", ROOM, WRITE_GONE, "            pass\n", (CARD,)),
    # --- the account
    Mutation("a new opening does not compute afresh what is gone", LEDGER,
             "                self.log(name).forget_gone()\n", "                pass\n",
             ("tests/test_ledger.py::test_a_new_opening_computes_afresh", LIVES)),
    Mutation("a span believed for another store or opening", LEDGER,
             "if span.store != store or span.opening != self.opening or not", "if not",
             ("tests/test_ledger.py::test_span",)),
    # --- cursors
    plain_ids("observations", "channel_id"),
    plain_ids("dead_letters", "key"),
    plain_ids("transitions", "key"),
    plain_ids("outbox", "key"),
    plain_ids("notices", "key"),
    plain_ids("requests", "kind"),
    plain_ids("assessments", "channel_id"),
    # --- quality
    Mutation("a flat line fails a value for alarms", QUALITY,
             "alarm = Flag.SUSPECT if self.flag is Flag.FAIL else None", "alarm = None",
             ("tests/test_quality.py::test_only_the_sensors_span_fails_a_value_for_alarms",)),
    Mutation("a late row is the newest", QUALITY, "            return _late(state, o, o.value, channel)\n",
             "            return _live(state, o, o.value, channel, around)\n",
             ("tests/test_quality.py::test_backlog_is_a_line_of_its_own",)),
    Mutation("what the tests remember is not swapped in", WORK, "self.memory.quality.update(self.quality)", "pass",
             ("tests/test_assessments.py::test_the_flag_follows",)),
    Mutation("a point is sent with its first flag", STOREFILE,
             "o.value,\n       {LATEST_FLAG}, o.fault", "o.value,\n       o.flag, o.fault",
             ("tests/test_assessments.py::test_a_point_sent_later_carries_its_latest_flag",)),
    Mutation("assessments outlive their observation", "gateway/storeschema.py",
             "DELETE FROM assessments WHERE channel_id = old.channel_id AND", "DELETE FROM assessments WHERE 0 AND",
             ("tests/test_assessments.py::test_they_go_with_their_observation",)),
    Mutation("the spool's logs without AUTOINCREMENT", SPOOLFILE,
             "CREATE TABLE logs (id INTEGER PRIMARY KEY AUTOINCREMENT,", "CREATE TABLE logs (id INTEGER PRIMARY KEY,",
             ("tests/test_spool.py::test_log_ids_do_not_come_back",)),
    # --- the journal, and what is published
    Mutation("journal: a row may be changed", "gateway/storeschema.py", "BEFORE UPDATE ON journal",
             "BEFORE UPDATE OF id ON journal", (JOURNAL + "test_no_row_is_changed_or_removed",)),
    Mutation("journal: a row may be replaced", "gateway/storeschema.py", "WHEN new.id IN (SELECT id FROM journal)",
             "WHEN new.id < 0 AND new.id > 0", (JOURNAL + "test_no_row_is_changed_or_removed",)),
    Mutation("journal: the chain leaves out when a row was recorded", "gateway/journal.py",
             "[row.number, row.at_ms, row.recorded_ms, ", "[row.number, row.at_ms, ",
             (JOURNAL + "test_what_was_touched_is_named",)),
    Mutation("journal: a transition that is known is told again", "gateway/bridge/journalrows.py",
             'if not db.execute("SELECT 1 FROM transitions WHERE key = ?", (t.key,)).fetchone():', "if True:",
             (JOURNAL + "test_a_transition_that_the_store_knows_is_not_told_twice",)),
    Mutation("journal: a restore takes it back", "gateway/restoring.py", "db.executemany(_GO_ON, rows)", "rows = []",
             ("tests/test_restoring.py::test_the_journal_goes_on", "tests/crash/test_power_store.py::"
              "test_a_power_cut_while_a_backup_is_restored_leaves_a_whole_journal")),
    Mutation("journal: what was not yet received is known", "gateway/journalfile.py", "AND o.received_ms <= ?",
             "AND 0 < ?", ("tests/test_cli_journal.py::test_what_the_desk_could_see_then",)),
    Mutation("CAP: anybody may send people away", "gateway/cap.py",
             "if m.meaning.response in BY_ORDER and not (m.released_by and m.order):", "if False:",
             (CAP + "test_what_may_not_be_sent_is_not_made",)),
    Mutation("CAP: an Update names the last message alone", "gateway/cap.py", "chain[-REFERENCES:]", "chain[-1:]",
             (CAP + "test_a_night", CAP + "test_any_episode_makes_valid_documents")),
    Mutation("CAP: a lower channel speaks for the station", "gateway/bridge/capping.py",
             "certain, claimed = max(certain, rank), max(claimed, claim)", "certain, claimed = rank, claim",
             (CAP + "test_the_worst_channel_speaks",)),
    Mutation("CAP: a restricted document is for everybody", "gateway/capatom.py",
             'return 0o644 if self.scope == "Public" else 0o640', "return 0o644",
             ("tests/test_capfeed.py::test_what_is_restricted_is_not_for_everybody",)),
    Mutation("foreign: a radio that counts anew is taken for its old self", FOREIGN,
             "if not heard.arrived(own, seq) or _again(told.at_ms, read, heard):", "if True:",
             (SOURCES + "test_a_device_that_counts_anew_at_once", EVERY_FAULT)),
    Mutation("foreign: what comes through a second gateway is another reading", FOREIGN,
             "SAME_MS = 5_000", "SAME_MS = 0",
             (SOURCES + "test_a_device_that_counts_anew_at_once", EVERY_FAULT)),
    Mutation("foreign: a dated message that comes again is another reading", "gateway/bridge/abroad.py",
             "    _leave_out_known(work, out)\n", "",
             (SOURCES + "test_a_message_with_a_time_that_comes_again", EVERY_FAULT)),
    Mutation("foreign: what was stored before a restart is not known again", "gateway/bridge/store.py",
             "        memory.there = self._there\n", "",
             ("tests/test_foreign_devices.py::test_again_after_a_restart",)),
    Mutation("foreign: a document that is none is a fault without its bytes", FOREIGN,
             '        raise Unreadable("no JSON text")\n', "        pass\n",
             (SOURCES + "test_a_document_that_is_none", EVERY_FAULT)),
    Mutation("foreign: a distance is taken for a level", "gateway/bridge/abroad.py",
             "declared.quantity != found.takes", "False",
             (SOURCES + "test_distances_and_levels_in_one_tenant",)),
    Mutation("context broker: an older value goes over a newer one", "gateway/ngsi.py",
             "or own.at_ms >= there.at_ms", "or True",
             ("tests/test_ngsi.py::test_only_what_is_newer_or_another_is_lacking",
              "tests/test_orion.py::test_nothing_older_ever_goes_over_what_is_newer")),
    Mutation("context broker: it is not asked again after a failure", "gateway/bridge/orion.py",
             "self._doubts[tenant] = [self._steady_s() + s for s in AGAIN_S]", "pass",
             ("tests/test_orion.py::test_a_broker_that_lost_everything_is_filled_again",)),
    Mutation("context broker: what it refuses for now is given up", "gateway/bridge/orion.py",
             "            if answer.fate is Fate.KEEP and not gone:", "            if answer.silent:",
             ("tests/test_orion.py::test_what_is_kept_goes_later_as_it_is_then",)),
    Mutation("context broker: what is done late stays", "gateway/bridge/orion.py",
             "AGAIN_S = (0.0, 0.0, 30.0, 120.0, 600.0)", "AGAIN_S = (0.0, 0.0)",
             ("tests/test_orion.py::test_what_is_done_late_does_not_stay",)),
    Mutation("context broker: what became internal stays there", "gateway/ngsi.py",
             "if name not in wanted.attributes\n        and name not in wanted.may", "if False",
             ("tests/test_orion.py::test_what_may_no_longer_leave_is_deleted",)),
    Mutation("context broker: a portal's page counts as an acknowledgement", "gateway/bridge/ngsiclient.py",
             "answer.fate is Fate.ACCEPTED and answer.body.strip()", "False",
             ("tests/test_orion.py::test_a_page_is_no_acknowledgement_of_a_batch",)),
    *ALARM,
    *PAGE, *WHO,
]  # fmt: skip


def tried(mutation: Mutation) -> list[str]:
    """What went wrong: nothing where every named test told."""
    text = (ROOT / mutation.file).read_text(encoding="utf-8")
    if text.count(mutation.old) != 1:
        return [f"{mutation.file} has {text.count(mutation.old)} times, not once: {mutation.old.strip()!r}"]
    with tempfile.TemporaryDirectory(prefix="suimon-mutation-") as scratch:
        for part in COPIED:
            source, target = ROOT / part, Path(scratch) / part
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        (Path(scratch) / mutation.file).write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
        return [problem for test in mutation.told_by if (problem := silent(Path(scratch), test))]


def silent(tree: Path, test: str) -> str | None:
    """Why a test did not tell."""
    # A folder of its own: sessions side by side clear away each other's old ones.
    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", f"--basetemp={tree / 'pytest'}"]
    command = [sys.executable, "-m", "pytest", *options, test]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(tree)})
    if done.returncode == 1 and "FAILED" in done.stdout:
        return None
    end = (done.stdout + done.stderr).strip().splitlines()[-1:]
    return f"{test} did not tell: {' '.join(end)}"


def row(mutation: Mutation) -> str:
    parts = [test.partition("::") for test in mutation.told_by]
    told = ", ".join(f"`{Path(file).stem}`: {name.removeprefix('test_').replace('_', ' ')}" for file, _, name in parts)
    return f"| {mutation.name} | {told} |"


def main(words: list[str]) -> int:
    wanted = [m for m in MUTATIONS if all(word in m.name for word in words)]
    failures = 0
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for mutation, problems in zip(wanted, pool.map(tried, wanted), strict=True):
            print(f"{'NOT TOLD' if problems else 'told    '}  {mutation.name}", flush=True)
            for problem in problems:
                print(f"          {problem}", flush=True)
            failures += bool(problems)
    print(f"\n{len(wanted) - failures} of {len(wanted)} told by every test that is named for them\n")
    if not failures:
        print("| what was broken | told by |\n|---|---|", *map(row, wanted), sep="\n")
    return failures > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

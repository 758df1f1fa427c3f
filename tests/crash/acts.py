"""What each kind of fault does to the town. An act begins the fault, waits as long as it lasts, and mends what it
broke: when it returns, recovery begins."""

from __future__ import annotations

import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from simulators.faults import platter
from simulators.faults.proxy import Proxy, Way
from tests import servers
from tests.crash.oracle import Kill
from tests.crash.plan import Fault
from tests.crash.town import Program, Town

MARK_S = 40.0  # until a mark must have been passed
STARTING_S = 0.8


class Acts:
    """Faults for one town. `kills` is what the account allows losses for; `bridge_kills` (monotonic seconds) what it
    allows second deliveries for. `looking` is held by whoever reads the files of the town."""

    def __init__(self, town: Town, looking: threading.RLock, sleep: Callable[[float], None] = time.sleep) -> None:
        self.town, self._looking, self._sleep = town, looking, sleep
        self.unsynced = 0  # writes that the cuts of power took or spared by chance
        self.kills: list[Kill] = []
        self.bridge_kills: list[float] = []
        self.unmarked: list[str] = []  # marks that were not passed in time: the process was killed by hand

    def do(self, lane: str, fault: Fault) -> None:
        kind = fault.kind.name
        sort, _, what = kind.partition("_")
        if "_link_" in kind:
            self._link(self.town.links[lane], kind.partition("_link_")[2], fault)
        elif sort == "webhook":
            self.town.receiver.mode = what
            self._sleep(fault.lasts_s)
            self.town.receiver.mode = "ok"
        elif sort == "broker" or sort == "influx":
            self._server(self.town.programs[lane], what, fault)
        else:
            self._ours(lane, what, fault)

    # --- links ---------------------------------------------------------------------------------------------------

    def _link(self, link: Proxy, what: str, fault: Fault) -> None:
        if what in ("cut", "reset", "half_open"):
            {"cut": link.cut, "reset": link.reset, "half_open": link.half_open}[what]()
            return
        if what == "slow":
            link.slow(Way(0.02 + fault.dice / 2, 2_000 + 40_000 * (1 - fault.dice)))
        else:
            link.set(what)
        self._sleep(fault.lasts_s)
        link.restore()

    # --- broker and database -----------------------------------------------------------------------------------------

    def _server(self, program: Program, what: str, fault: Fault) -> None:
        if what == "hang":
            self._hang(program, fault)
            return
        program.end(signal.SIGTERM if what == "restart" else signal.SIGKILL)
        if what == "kill_and_wipe":
            (self.town.folder / "broker" / "mosquitto.db").unlink(missing_ok=True)
        self._sleep(fault.lasts_s)
        program.start()
        if program.name == "broker":
            servers.wait_for("mosquitto", lambda: servers.port_open(self.town.broker_port))
        else:
            self.town.wait_influx()

    # --- agents and bridge -------------------------------------------------------------------------------------------

    def _ours(self, lane: str, what: str, fault: Fault) -> None:
        program, disk = self.town.programs[lane], self.town.disks[lane]
        if what == "hang":
            self._hang(program, fault)
        elif what == "restart":
            program.end(signal.SIGTERM)
            self._sleep(fault.lasts_s)
            program.start()
        elif what == "kill":
            self.kill(lane)
            self._sleep(fault.lasts_s)
            program.start()
        elif what == "kill_starting":
            self.kill(lane)
            program.start()
            self._sleep(fault.lasts_s)
            self.kill(lane)
            program.start()
        elif what == "power_cut":
            self._power_cut(lane, fault)
        elif what == "kill_at_mark":
            self._kill_at_mark(lane, fault)
        elif what == "disk_full" and disk.own:
            disk.fill()
            self._sleep(fault.lasts_s)
            disk.free()
        else:  # a disk that refuses writes; also for a full one where no disk of its own can be had
            program.limit_files(True)
            self._sleep(fault.lasts_s)
            program.limit_files(False)

    def _hang(self, program: Program, fault: Fault) -> None:
        program.signal(signal.SIGSTOP)
        self._sleep(fault.lasts_s)
        program.signal(signal.SIGCONT)

    def _kill_at_mark(self, lane: str, fault: Fault) -> None:
        program = self.town.programs[lane]
        program.end(signal.SIGTERM)
        program.start("--crash-at", f"{fault.mark}:{fault.nth}")
        program.wanted = False  # nobody but we starts it again
        if not program.wait_dead(MARK_S):
            self.unmarked.append(f"{lane} {fault.mark}:{fault.nth}")
        self.kill(lane)
        program.start()

    def _power_cut(self, lane: str, fault: Fault) -> None:
        """On a disk that records, for a while; then its files are what a disk without power may hold."""
        program, journal = self.town.programs[lane], self.town.folder / f"journal-{lane}"
        journal.unlink(missing_ok=True)
        program.end(signal.SIGTERM)
        program.start("--record-disk", str(journal))
        program.wanted = False  # nobody but we starts it again, and not without the recording
        self._sleep(STARTING_S + fault.lasts_s)
        self.kill(lane)
        if journal.exists():
            with self._looking:
                self.unsynced += platter.cut(journal, round(fault.dice * 1e9))["writes"]
            journal.unlink()
        program.start()

    def kill(self, lane: str, swapped: frozenset[int] = frozenset()) -> None:
        """SIGKILL, and on record."""
        self.town.programs[lane].end()
        time.sleep(0.1)  # a read that it had asked for is served all the same
        if lane == "bridge":
            self.bridge_kills.append(time.monotonic())
        else:
            i = int(lane.partition("-")[2]) - 1
            self.kills.append(Kill(self.town.stations[i], self.town.sensors[i].counter, swapped))

    # --- exchanges, when all is calm ---------------------------------------------------------------------------

    def put_card_back(self, i: int, settled: Callable[[], None], forget: Callable[[], set[int]]) -> None:
        """A card's image of an earlier moment in the card's place. `settled` waits until the bridge has what the card
        holds; `forget` says what the store has not of it, and that the card is another."""
        lane, spool = f"edge-{i + 1}", self.town.spool(i)
        image = self.town.folder / f"image-{i + 1}"
        shutil.rmtree(image, ignore_errors=True)
        image.mkdir()
        self.kill(lane)
        for part in _parts(spool):
            shutil.copy(part, image)
        self.town.programs[lane].start()
        settled()
        self.kill(lane)
        only_there = forget()
        for part in _parts(spool):
            part.unlink()
        for part in image.iterdir():
            shutil.copy(part, spool.parent)
        self.kills.append(Kill(self.town.stations[i], self.town.sensors[i].counter, frozenset(only_there)))
        self.town.programs[lane].start()

    def restore_store(self, settled: Callable[[], None], forget: Callable[[], None]) -> None:
        """A backup, some more life, a kill, and the backup in the store's place under a new name."""
        backup = self.town.folder / "backup.db"
        backup.unlink(missing_ok=True)
        self.town.bridge_command("backup", str(backup))
        settled()
        self.kill("bridge")
        self.town.bridge_command("restore", str(backup))
        for old in self.town.store.parent.glob("*.before-restore-*"):
            old.unlink()
        forget()
        self.town.programs["bridge"].start()


def _parts(database: Path) -> list[Path]:
    """The file and its write-ahead log. Its shared memory is made again from them."""
    return [p for suffix in ("", "-wal") if (p := database.with_name(database.name + suffix)).exists()]

"""`make torture`: a town under load, broken a thousand times, and the account that must close.

Progress on standard error; one JSON object on standard output; the report in a folder. Exit 0 only if it closes.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.demo import account as demo_account
from gateway.demo import influxdb
from tests.crash import oracle, plan
from tests.crash.acts import Acts
from tests.crash.plan import Fault, Round
from tests.crash.town import COMMIT_S, DATABASE, FACTOR, INTERVAL_S, LATE_S, Town, climb, level_of, town

LOOK_S = 0.3
ASK_S = 5.0  # between questions to InfluxDB
STAY_S = (0.3, 3.0)  # how long a river stays where it is, at least, after people could see it
COMMITS = 20  # of a spool, within which a read must be on the card
SETTLE_S = 240.0  # real; a link's time-outs are a minute
# Reads of one commit interval: those appended since the last commit began, and the one under way.
A_COMMIT = round(COMMIT_S / INTERVAL_S) + 2


@dataclass(slots=True)
class _Recovery:
    """A fault that is over and whose traces are not. `reads`: what each station touched had served at its end."""

    kind: str
    since: float
    reads: Mapping[str, int]
    row: int
    outbox: int


@dataclass(slots=True)
class _Course:
    """Where one river is in its flood."""

    shown: oracle.Shown
    ranks: list[int] = field(default_factory=list)
    rank: int = 0
    plateau: int = 0
    stays_until: float = 0.0
    began: bool = False  # whether it ever rose: a first plateau falls from nothing


class Broken(Exception):
    """The account does not close, or the town does not come back."""


class Torture:
    """One run. `say` takes a line of progress."""

    def __init__(self, built: Town, seed: int, say: Callable[[str], None]) -> None:
        self.town, self.seed, self._say = built, seed, say
        self._lock = threading.RLock()  # held while files are looked at
        self.acts = Acts(built, self._lock)
        spools = {station: built.spool(i) for i, station in enumerate(built.stations)}
        self.follower = oracle.Follower(built.store, spools, built.folder / "served")
        self.done: dict[str, int] = {}
        self.slowest: tuple[float, str] = (0.0, "")
        self._rng = random.Random(f"{seed}/rivers")
        late_ms = round(LATE_S * FACTOR * 1000)
        self._courses = {name: _Course(oracle.Shown(late_ms)) for name in built.stations}
        self._recoveries: list[_Recovery] = []
        self._last_move: tuple[object, float] = (None, 0.0)
        self._still = False  # rivers stay where they are
        self._asked = 0.0  # when InfluxDB was asked last
        self._goals: dict[str, int] = {}
        self._over = threading.Event()
        self._failure: BaseException | None = None
        self._watch = threading.Thread(target=self._watching, name="watch", daemon=True)

    # --- running -------------------------------------------------------------------------------------------------

    def run(self, rounds: list[Round]) -> dict[str, Any]:
        self.town.start()
        self._watch.start()
        try:
            self._settle("the start")
            for number, one in enumerate(rounds, 1):
                began = time.monotonic()
                self._lanes(one)
                self._settle(f"round {number}")
                for fault in one.get("calm", ()):
                    self._calm(fault)
                self._settle(f"round {number}'s exchanges")
                samples = self._account_soon()
                text = f"round {number} of {len(rounds)}: {sum(self.done.values())} faults"
                took = time.monotonic() - began
                self._say(f"{text}, {samples.served} served, {samples.lost_at_kill} lost at kills, {took:.0f} s")
                if samples.problems:
                    raise Broken("; ".join(samples.problems))
            return self._close()
        finally:
            self._over.set()
            self._watch.join()

    def _lanes(self, one: Round) -> None:
        """Every lane's faults in a thread of its own."""
        self._still = False
        threads = [threading.Thread(target=self._lane, args=(lane, faults), name=lane, daemon=True)
                   for lane, faults in one.items() if lane != "calm" and faults]  # fmt: skip
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._failure is not None:
            raise Broken(f"a fault could not be done: {self._failure!r}") from self._failure

    def _lane(self, lane: str, faults: list[Fault]) -> None:
        try:
            for fault in faults:
                time.sleep(fault.rest_s)
                if self._failure is not None:
                    return
                self._log(lane, fault, "begins")
                self.acts.do(lane, fault)
                self._note(lane, fault)
        except BaseException as e:
            self._failure = e
            if not isinstance(e, Exception):
                return  # pytest's own failures are no Exceptions; `_lanes` raises for them
            raise

    def _note(self, lane: str, fault: Fault) -> None:
        kind = fault.kind.name
        self._log(lane, fault, "is over")
        with self._lock:
            self.done[kind] = self.done.get(kind, 0) + 1
            sort, _, number = lane.partition("-")
            touched = [self.town.stations[int(number) - 1]] if number else self.town.stations
            reads = {s: self.town.sensors[self.town.stations.index(s)].counter for s in touched}
            if sort in ("influx", "influx_link", "webhook"):
                reads = {}
            row = self.follower.last_row if sort.startswith("influx") else 0
            outbox = self.follower.last_outbox if sort == "webhook" else 0
            self._recoveries.append(_Recovery(kind, time.monotonic(), reads, row, outbox))

    def _log(self, lane: str, fault: Fault, what: str) -> None:
        mark = f" at {fault.mark}:{fault.nth}" if fault.mark else ""
        at = f"{time.strftime('%H:%M:%S')} {self.town.clock.now_ms()}"
        line = f"{at} {lane} {fault.kind.name}{mark} ({fault.lasts_s:.2f} s) {what}"
        with (self.town.folder / "faults.log").open("a") as log:
            log.write(line + "\n")

    # --- watching ------------------------------------------------------------------------------------------------

    def _watching(self) -> None:
        try:
            while not self._over.wait(LOOK_S):
                with self._lock:
                    self._look()
                for name in self.town.tend():
                    last = self.town.programs[name].exits[-1]
                    self._say(f"{name} ended by itself with code {last.code} ({last.words[-200:]}); started again")
        except BaseException as e:
            self._failure = e
            raise

    def _look(self) -> None:
        for row in self.follower.look():
            course, station = self._courses[row.station], self.follower.stations[row.station]
            level = level_of(course.rank, course.plateau)
            same = row.counter <= station.served and station.levels[row.counter - 1] == level
            course.shown.note(row, same, self.town.clock.now_ms())
        for name, course in self._courses.items():
            self._flow(name, course)
        now = time.monotonic()
        full = "bridge_disk_full" in self.done or "bridge_disk_error" in self.done
        if full and now - self._asked > ASK_S and (missing := self._missing()):
            self._asked = now
            self._ask_influx(*missing)
        for recovery in [r for r in self._recoveries if self._recovered(r)]:
            self._recoveries.remove(recovery)
            self.slowest = max(self.slowest, (now - recovery.since, recovery.kind))

    def _missing(self) -> tuple[int, int] | None:
        """From when to when reads were served that only a card has."""
        times = [s.served_ms[n - 1] for s in self.follower.stations.values() for n in s.unstored if n <= s.served]
        return (min(times), max(times)) if times else None

    def _ask_influx(self, from_ms: int, to_ms: int, whole: bool = False) -> None:
        """A store that is full gives up what InfluxDB has, perhaps before we saw it: then InfluxDB is the witness."""
        step = round(INTERVAL_S * FACTOR * 2000)
        between = f"time >= {from_ms - step}ms AND time <= {to_ms + step}ms"
        query = f'SELECT value FROM "count" WHERE {between} GROUP BY station'
        fields = urllib.parse.urlencode({"db": DATABASE, "q": query, "epoch": "ms"})
        try:
            with urllib.request.urlopen(f"{self.town.target.url}/query?{fields}", timeout=30.0 if whole else 3.0) as r:
                answer = json.load(r)
        except (OSError, http.client.HTTPException, ValueError):
            if whole:
                raise
            return  # it is down or hangs; it is asked again
        series = [x for result in answer["results"] for x in result.get("series", [])]
        rows = ((x["tags"]["station"], int(value)) for x in series for _, value in x["values"])
        self.follower.written(rows, whole)

    def _flow(self, name: str, course: _Course) -> None:
        """The river moves on once people could see where it is."""
        if not self._seen(course):
            course.stays_until = 0.0
            return
        if course.stays_until == 0.0:
            course.stays_until = time.monotonic() + self._rng.uniform(*STAY_S)
        if self._still or time.monotonic() < course.stays_until:
            return
        if not course.ranks:
            course.ranks = climb(self._rng)
        course.rank, course.plateau, course.began = course.ranks.pop(0), course.plateau + 1, True
        course.stays_until = 0.0
        course.shown.begin()
        self.town.rivers[self.town.stations.index(name)].level = level_of(course.rank, course.plateau)

    def _seen(self, course: _Course) -> bool:
        return course.shown.enough(fall=course.rank == 0 and course.began)

    def _recovered(self, r: _Recovery) -> bool:
        if self.follower.influx_row < r.row or self.follower.owed_from <= r.outbox:
            return False
        return not any(self._behind(name, read) for name, read in r.reads.items())

    def _behind(self, name: str, read: int) -> bool:
        """Whether the bridge has nothing newer than a read yet, or not everything up to it. What a full store declared
        as given up cannot be waited for; which samples these are is not known."""
        station = self.follower.stations[name]
        newest = max(station.stored, default=0)
        return newest <= read or sum(n <= read for n in station.unstored) > self.follower.thinned

    # --- at the end of a round -------------------------------------------------------------------------------------

    def _settle(self, when: str) -> None:
        """Everything is mended: wait until every trace of the faults is gone, and the rivers stand still."""
        self._still = True
        self.town.mend()
        self._wait(f"after {when}", self._settled)

    def _settled(self) -> str:
        """What is still to be waited for; empty when nothing is."""
        if self._recoveries:
            return f"the recovery from {', '.join(sorted({r.kind for r in self._recoveries}))}"
        unseen = [name for name, course in self._courses.items() if not self._seen(course)]
        if unseen:
            return f"a level of {', '.join(unseen)} to be seen"
        if self.follower.owed_from <= self.follower.last_outbox:
            return "a notification that is owed"
        return ""

    def _wait(self, when: str, waiting: Callable[[], str]) -> None:
        end = time.monotonic() + SETTLE_S
        while True:
            with self._lock:
                for_what = waiting()
            if self._failure is not None:
                raise Broken(f"the watch ended: {self._failure!r}") from self._failure
            if not for_what:
                return
            if time.monotonic() > end:
                raise Broken(f"{when}: waited {SETTLE_S:.0f} s in vain for {for_what}; {self._outstanding()}")
            time.sleep(LOOK_S)

    def _outstanding(self) -> str:
        with self._lock:
            return ", ".join(f"{name}: {s.served} served, {len(s.stored)} stored, {len(s.unstored)} on the card alone"
                             for name, s in self.follower.stations.items())  # fmt: skip

    def _more(self, i: int) -> str:
        """Whether a station was stored up to where it was when asked first."""
        name = self.town.stations[i]
        goal = self._goals.setdefault(name, self.town.sensors[i].counter + 20)
        return f"{name} to be stored up to read {goal}" if self._behind(name, goal) else ""

    def _calm(self, fault: Fault) -> None:
        self._log("calm", fault, "begins")
        self._goals.clear()
        stations = range(len(self.town.stations))
        if fault.kind.name == "card_put_back":
            i = int(fault.dice * len(stations))
            name = self.town.stations[i]

            def forget_card() -> set[int]:
                with self._lock:
                    self.follower.look()
                    only_there = set(self.follower.stations[name].unstored)
                    self.follower.forget_card(name)
                    return only_there

            self.acts.put_card_back(i, lambda: self._wait("a card's image", lambda: self._more(i)), forget_card)
        else:
            everyone = lambda: next(filter(None, map(self._more, stations)), "")  # noqa: E731

            def forget_store() -> None:
                with self._lock:
                    self.follower.forget_store()

            self.acts.restore_store(lambda: self._wait("a backup", everyone), forget_store)
        self._note("calm", fault)

    def _account_soon(self) -> oracle.Samples:
        """The first reads of an agent may have gone out live, and not all of them: those that did not are in memory
        until the next commit, and neither lost nor to be seen yet. What is lost stays lost."""
        end = time.monotonic() + COMMITS * COMMIT_S
        while (samples := self._account()).problems and time.monotonic() < end:
            time.sleep(COMMIT_S)
        return samples

    def _account(self, whole: bool = False) -> oracle.Samples:
        """Up to the newest read stored of each station, because the sensors go on; `whole`: of all reads served."""
        with self._lock:
            self._look()
            upto = {name: station.served if whole else max(station.stored, default=0)
                    for name, station in self.follower.stations.items()}  # fmt: skip
            kills = self.acts.kills
            return oracle.account(self.follower.stations, upto, kills, A_COMMIT, self.town.store)

    # --- the end -------------------------------------------------------------------------------------------------

    def _close(self) -> dict[str, Any]:
        """The agents are stopped in order: from then on nothing moves, and every read has one fate."""
        for name, program in self.town.programs.items():
            if name.startswith("edge"):
                program.end(signal.SIGTERM)
        self._wait("the end", self._at_rest)
        with self._lock:
            alerts = oracle.alerts(self.follower.stations, self.town.receiver.deliveries, self.acts.bridge_kills)
            self._ask_influx(self.town.clock.origin_ms, self.town.clock.now_ms(), whole=True)
        samples = self._account(whole=True)
        problems = [*samples.problems, *(f"missed: {m}" for m in alerts.missed), *alerts.false, *self._influx()]
        if alerts.repeated:
            problems.append(f"{alerts.repeated} alerts have a second key")
        figures: dict[str, Any] = {
            "faults": sum(self.done.values()),
            "by_kind": dict(sorted(self.done.items())),
            "served": samples.served,
            "stored": samples.stored,
            "held": samples.held,
            "letters": samples.letters,
            "gone": samples.gone,
            "lost_at_kill": samples.lost_at_kill,
            "duplicates": samples.duplicates,
            "alerts": alerts.facts,
            "alerts_repeated": alerts.repeated,
            "deliveries_repeated": alerts.deliveries_repeated,
            "alerts_missed": len(alerts.missed),
            "slowest_recovery_s": round(self.slowest[0], 1),
            "slowest_recovery_of": self.slowest[1],
            "edge_kills": len(self.acts.kills),
            "bridge_kills": len(self.acts.bridge_kills),
            "ended_by_themselves": sorted(
                f"{x.name}: {x.code}" for program in self.town.programs.values() for x in program.exits
            ),
            "writes_not_synced_at_power_cuts": self.acts.unsynced,
            "marks_not_reached": self.acts.unmarked,
            "seed": self.seed,
            "closed": not problems,
            "problems": problems,
        }
        return figures

    def _at_rest(self) -> str:
        """At the end: everything stored that is on its way, and written to the database."""
        f = self.follower
        now = (sum(len(s.stored) for s in f.stations.values()), f.last_row, f.influx_row, f.owed_from)
        if now != self._last_move[0]:
            self._last_move = (now, time.monotonic())
        if f.influx_row < f.last_row or f.owed_from <= f.last_outbox:
            return "InfluxDB and people"
        if any(s.unstored for s in f.stations.values()) and time.monotonic() - self._last_move[1] < 10:
            return f"what is on its way ({self._outstanding()})"
        return ""

    def _influx(self) -> list[str]:
        """Every finite value of the store must stand in the database as it does there."""
        found = influxdb.points(self.town.target, "takamatsu") or {}
        stored = demo_account.stored_points(self.town.store)
        lacking = [key for key, value in stored.items() if found.get(key) != value]
        return (
            [f"{len(lacking)} of {len(stored)} values are not in InfluxDB (first: {min(lacking)})"] if lacking else []
        )


def torture(
    folder: Path, faults: int, seed: int, edges: int, say: Callable[[str], None], a_round: int = 100
) -> dict[str, Any]:
    """Run it. Raises Broken where the account does not close on the way."""
    rounds = plan.schedule(seed, faults, edges, a_round)
    with town(folder, edges, lambda i: level_of(0, 0)) as built:
        return Torture(built, seed, say).run(rounds)


def report(figures: Mapping[str, Any]) -> str:
    """For people, as Markdown."""
    lines = [f"# Torture: {figures['faults']} faults, seed {figures['seed']}", "", "| figure | |", "|---|---:|"]
    lines += [f"| {name} | {value} |" for name, value in figures.items() if not isinstance(value, dict | list)]
    lines += ["", "| fault | times |", "|---|---:|"]
    lines += [f"| {kind} | {count} |" for kind, count in figures["by_kind"].items()]
    lines += ["", *(f"- {problem}" for problem in figures["problems"])]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.crash.torture", description=__doc__)
    parser.add_argument("faults", type=int, nargs="?", default=1000)
    parser.add_argument("--seed", type=int, default=None, help="the schedule of another run again")
    parser.add_argument("--edges", type=int, default=4)
    parser.add_argument("--round", type=int, default=100, help="faults between two checks of the account")
    parser.add_argument("--report", type=Path, default=Path("torture-results"), help="folder of the report")
    parser.add_argument("--data", type=Path, default=None, help="folder for everything; kept. Else a temporary one")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed

    def say(line: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)

    folder = options.data or Path(tempfile.mkdtemp(prefix="suimon-torture-"))
    say(f"{options.faults} faults, seed {seed}, {options.edges} devices; everything is in {folder}")
    began = time.monotonic()
    try:
        figures = torture(folder, options.faults, seed, options.edges, say, options.round)
    except Broken as e:
        say(f"BROKEN with seed {seed}: {e}")
        print(json.dumps({"seed": seed, "closed": False, "problems": [str(e)]}, ensure_ascii=False))
        return 1
    figures["took_s"] = round(time.monotonic() - began)
    for problem in figures["problems"]:
        say(problem)
    options.report.mkdir(parents=True, exist_ok=True)
    (options.report / "torture-report.json").write_text(json.dumps(figures, ensure_ascii=False, indent=1) + "\n")
    (options.report / "torture-report.md").write_text(report(figures))
    if figures["closed"] and options.data is None:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(figures, ensure_ascii=False))
    return 0 if figures["closed"] else 1


if __name__ == "__main__":
    sys.exit(main())

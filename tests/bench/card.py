"""The device: the memory of its process with a million samples on the spool, and what a day writes to the card."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from gateway.edge.spool import Spool
from gateway.model import ClockState, Reading

T0 = 1_764_000_000_000
READINGS = [Reading("bench", "water_level", "m", 1.234), Reading("bench", "battery_voltage", "V", 12.6)]
DAY_S = 86_400
SENSORS = ((60, 0), (60, 17), (60, 41), (10, 3))  # seconds between samples, and the first: three and one raised


PROCESS = """
import sys, time
from pathlib import Path
import gateway.cli.main, gateway.cli.edge, gateway.config, gateway.edge.agent
from gateway.edge.spool import Spool
from gateway.ranges import RangeSet
start = time.monotonic()
spool = Spool(Path(sys.argv[1]), 10**12, 1_764_000_000_000)
opened_s = time.monotonic() - start
spool.depth()
spool.statement()
for name in spool.logs():
    spool.unsettled(name, 100, RangeSet())
peak = Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
print(int(peak) / 1000, opened_s)
"""


@dataclass(frozen=True, slots=True)
class Memory:
    peak_mb: float
    opened_s: float


def memory(folder: Path, samples: int) -> Memory:
    """A process with all that the agent loads, and the spool open and read from."""
    path = folder / "spool.db"
    fill(path, samples)
    done = subprocess.run([sys.executable, "-c", PROCESS, str(path)], capture_output=True, text=True, check=True)
    peak_mb, opened_s = done.stdout.split()
    return Memory(float(peak_mb), float(opened_s))


def fill(path: Path, samples: int) -> None:
    spool = Spool(path, 10**12, T0)
    spool._db.execute("PRAGMA synchronous = OFF")  # only to be quick: not what is measured
    for n in range(samples):
        spool.append(T0 + 1000 * n, ClockState.SYNCED, READINGS)
        if n % 20_000 == 0:
            spool.commit()
    spool.close()


def day(folder: Path, commit_s: int) -> int:
    """Bytes handed to the system for spool and write-ahead log in a day of commits: each is synced, so all of them
    reach the card. What the card's own controller makes of them is not in it."""
    at = [0.0]
    spool = Spool(folder / f"day-{commit_s}.db", 512_000_000, T0, now=lambda: at[0])
    spool._db.execute("PRAGMA synchronous = OFF")  # the same bytes, sooner
    due = sorted((first + n * every) for every, first in SENSORS for n in range(DAY_S // every))
    before, i = written(), 0
    for second in range(commit_s, DAY_S + 1, commit_s):
        at[0] = float(second)
        while i < len(due) and due[i] < second:
            spool.append(T0 + due[i] * 1000, ClockState.SYNCED, READINGS)
            i += 1
        spool.commit()
    total = written() - before
    spool.close()
    return total


def written() -> int:
    return int(Path("/proc/self/io").read_text().partition("wchar:")[2].split()[0])

"""Ends what a torture run started, however the run itself ended: it reads process ids and mounts from its standard
input, and at its end (the run closed it, or died) kills and unmounts what is left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import IO


class Reaper:
    """The run's side of it."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.crash.reaper"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)

    def started(self, pid: int) -> None:
        self._say(f"pid {pid}")

    def ended(self, pid: int) -> None:
        self._say(f"over {pid}")

    def mounts(self, path: object) -> None:
        self._say(f"mount {path}")

    def close(self) -> None:
        """Everything left is ended when this returns."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()


def main(lines: IO[str]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends by the end of its input alone
    alive: set[int] = set()
    mounts: list[str] = []
    for line in lines:
        word, _, what = line.strip().partition(" ")
        if word == "pid":
            alive.add(int(what))
        elif word == "over":
            alive.discard(int(what))
        elif word == "mount":
            mounts.append(what)
    for pid in alive:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for path in mounts:
        subprocess.run(["umount", "-l", path], check=False, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main(sys.stdin)

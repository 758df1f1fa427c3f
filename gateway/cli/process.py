"""How a process of ours starts, logs and ends. The one place with a broad way out: a thread that dies ends the
process non-zero, so that its supervisor starts it again instead of a half of it running on.
"""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, NoReturn

import typer

from gateway.clock import Clock, SimClock, SystemClock
from gateway.disk import DISK, Disk
from gateway.errors import ConfigError, Problem, Unavailable

EXIT_CONFIG = 3
EXIT_UNAVAILABLE = 4
EXIT_DISPLACED = 5  # another bridge has the place; a supervisor must not start this one again

ConfigOption = typer.Option(Path(), "--config", "-c", help="The folder with the YAML files.")
ClockOption = typer.Option(None, "--sim-clock", hidden=True, help="Shared clock of a simulation.")
CrashOption = typer.Option(
    None, "--crash-at", hidden=True, help="MARK:N, kill this process at the N-th pass; simulation only."
)

DiskOption = typer.Option(
    None, "--record-disk", hidden=True, help="Journal of the disk, for power cuts; simulation only."
)


def crash_at(text: str | None, simulation: bool) -> Callable[[str], None]:
    """Kill this process, as a power cut would, when it passes a marked point for the N-th time: the tests' tool.
    Raises ConfigError outside a simulation."""
    if text is None:
        return lambda _: None
    if not simulation:
        raise ConfigError([Problem("--crash-at", 1, 1, "", "refused outside a simulation ('simulation: true')")])
    wanted, _, nth = text.partition(":")
    left = itertools.count(int(nth or 1), -1)

    def mark(name: str) -> None:
        if name == wanted and next(left) == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    return mark


def simulators_package() -> ModuleType:
    """The simulators: inside this package where it was installed from a wheel, beside it in the repository."""
    for name in ("gateway._simulators", "simulators"):
        if importlib.util.find_spec(name) is not None:
            return importlib.import_module(name)
    raise ModuleNotFoundError("the simulators are neither in this installation nor in this repository")


def simulators_module(name: str) -> Any:
    """One module of it: `scenario`, `recordings`, `run`, …"""
    return importlib.import_module(f"{simulators_package().__name__}.{name}")


def disk_of(journal: Path | None, simulation: bool) -> Disk:
    """The real disk, or one that records in a journal what was written and what was synced, so that the tests can cut
    the power of this process. Raises ConfigError outside a simulation, Unavailable without the package it needs."""
    if journal is None:
        return DISK
    if not simulation:
        raise ConfigError([Problem("--record-disk", 1, 1, "", "refused outside a simulation ('simulation: true')")])
    recording: Disk = simulators_module("faults.disk").recording(journal)
    return recording


def start_logging() -> None:
    """One line an event on stderr; a supervisor adds nothing but its own time."""
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S%z",
    )
    threading.excepthook = _thread_died


def _thread_died(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is None or isinstance(args.exc_value, SystemExit):
        return
    name = args.thread.name if args.thread else "?"
    logging.critical("thread %s ended: %s", name, args.exc_value, exc_info=args.exc_value)
    logging.shutdown()
    os._exit(1)


def clock_of(sim_clock: Path | None, simulation: bool, file: str, trusted: bool = False) -> Clock:
    """The system's clock, or a simulation's where the configuration permits one. Raises ConfigError."""
    if sim_clock is None:
        return SystemClock(trusted=trusted)
    if not simulation:
        message = (
            "a simulated clock is refused outside a simulation; set 'simulation: true' only where nobody relies on it"
        )
        raise ConfigError([Problem(file, 1, 1, "simulation", message)])
    return SimClock(sim_clock)


def refuse(error: ConfigError) -> typer.Exit:
    """Print every problem; the exit code of a bad configuration."""
    typer.echo(str(error), err=True)
    return typer.Exit(EXIT_CONFIG)


def unavailable(error: Exception) -> typer.Exit:
    typer.echo(str(error), err=True)
    return typer.Exit(EXIT_UNAVAILABLE)


@contextmanager
def told() -> Iterator[None]:
    """What cannot begin is told in a sentence and an exit code, not in a traceback."""
    try:
        yield
    except ConfigError as e:
        raise refuse(e) from e
    except Unavailable as e:
        raise unavailable(e) from e


def reload_on_signal(reload: Callable[[], None]) -> None:
    """SIGHUP has the configuration read again."""

    def handler(_number: int, _frame: FrameType | None) -> None:
        reload()

    signal.signal(signal.SIGHUP, handler)


def begin_anew() -> NoReturn:
    """The same command in the place of this process: for its supervisor it is the same one."""
    logging.shutdown()
    os.execv(sys.executable, [sys.executable, "-m", "gateway", *sys.argv[1:]])  # noqa: S606


def stop_on_signals(stop: Callable[[], None]) -> None:
    """SIGTERM and SIGINT end the process in order."""

    def handler(_number: int, _frame: FrameType | None) -> None:
        stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handler)

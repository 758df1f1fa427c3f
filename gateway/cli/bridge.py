"""`suimon bridge`: from the broker to the store, InfluxDB and people."""

from __future__ import annotations

import functools
import json
import logging
import os
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from gateway.cli import process
from gateway.cli.status import status
from gateway.errors import Unavailable

bridge_app = typer.Typer(help="From the broker to the store, InfluxDB and people.", no_args_is_help=True)
bridge_app.command()(status)


@bridge_app.callback()
def _bridge() -> None:
    """From the broker to the store, InfluxDB and people."""


@bridge_app.command("run")
def run(
    folder: Path = process.ConfigOption,
    takeover: Annotated[
        bool, typer.Option("--takeover", help="Take the place of another bridge that runs on this broker.")
    ] = False,
    sim_clock: Path | None = process.ClockOption,
    crash: str | None = process.CrashOption,
    journal: Path | None = process.DiskOption,
) -> None:
    """Store what the devices send, answer with receipts, raise alerts, until stopped."""
    from gateway import config
    from gateway.bridge.presence import Displaced
    from gateway.bridge.service import Service
    from gateway.systemd import Supervisor

    process.start_logging()
    with process.told():
        bridge, registry = config.load_bridge(folder)
        clock = process.clock_of(sim_clock, bridge.simulation, "bridge.yaml")
        disk = process.disk_of(journal, bridge.simulation)
        try:
            mark, supervisor = process.crash_at(crash, bridge.simulation), Supervisor.of(os.environ)
            load, place = functools.partial(config.load_bridge, folder), functools.partial(config.place, folder)
            service = Service(bridge, registry, clock, mark, disk, supervisor, takeover, load, place)
        except ModuleNotFoundError as e:
            raise Unavailable(f"InfluxDB needs the package {e.name}: pip install 'suimon[bridge]'") from e
    process.stop_on_signals(service.stop)
    process.reload_on_signal(service.reload)
    try:
        service.run()
    except Displaced as e:
        logging.error("stopped: %s", e)
        raise typer.Exit(process.EXIT_DISPLACED) from e
    logging.info("stopped; samples: %s", service.summary())


ELSEWHERE = (
    "Or does it run on another store? Which one is fixed while it runs: put its path back, or restart the bridge"
)


@bridge_app.command("reload")
def reload(
    folder: Path = process.ConfigOption,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Have the running bridge take over the configuration as it stands now, between two batches, or say everything
    that is wrong with it: then nothing changes. Nothing is lost and nobody is told anything twice."""
    from gateway import config
    from gateway.cli import asking, times
    from gateway.errors import ConfigError

    with process.told():
        try:
            bridge, _ = config.load_bridge(folder)
        except ConfigError as e:
            _not_reloaded([str(x) for x in e.problems], as_json)
        try:
            state, answer = asking.ask_running(bridge.store, "reload")
        except asking.NobodyRuns as e:
            line, col = config.place(folder, ("store", "path"))
            raise Unavailable(f"bridge.yaml:{line}:{col} store.path: {e}. {ELSEWHERE}") from e
    if state == "refused":
        _not_reloaded(answer.get("problems") or [str(answer.get("reason"))], as_json)
    if as_json:
        typer.echo(json.dumps({"state": "in_force", "problems": [], **answer}, ensure_ascii=False))
        return
    typer.echo(f"configuration {answer['configuration']} is in force since {times.local(answer['since_ms'])}")
    typer.echo("\n".join(answer["changed"]) or "nothing had changed")


def _not_reloaded(problems: list[str], as_json: bool) -> NoReturn:
    """Every problem, and the exit code of a bad configuration."""
    if as_json:
        typer.echo(json.dumps({"state": "refused", "problems": problems}, ensure_ascii=False))
    else:
        count = f"{len(problems)} problem{'s' * (len(problems) != 1)}"
        typer.echo("\n".join([*problems, f"{count}. The bridge goes on with the configuration that it has."]), err=True)
    raise typer.Exit(process.EXIT_CONFIG)


@bridge_app.command("backup")
def backup(
    file: Annotated[Path, typer.Argument(help="The file to write; it must not exist.")],
    folder: Path = process.ConfigOption,
) -> None:
    """Copy the store to a file, also while the bridge runs; the page's accounts, where it has any, to one beside it
    that its owner alone can read: backup.db, backup.web.db."""
    from gateway import config, storefile
    from gateway.web import accountcopy

    beside = _accounts_beside(file)
    with process.told():
        bridge, _ = config.load_bridge(folder)
        if beside.exists():
            raise Unavailable(f"{beside} exists. Name another file.")
        storefile.backup(bridge.store, file)
        typer.echo(f"{bridge.store} is copied to {file}")
        web, _, _ = config.load_web(folder)  # after the store, which is copied whatever is wrong with web.yaml
        if web.accounts.exists():
            accountcopy.backup(web.accounts, beside)
            typer.echo(f"{web.accounts} is copied to {beside}")


def _accounts_beside(file: Path) -> Path:
    return file.with_name(f"{file.stem}.web{file.suffix}")


@bridge_app.command("restore")
def restore(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A backup.")],
    folder: Path = process.ConfigOption,
    accounts: Annotated[
        bool, typer.Option("--accounts", help="Also the page's accounts, though there are some.")
    ] = False,
) -> None:
    """Put a backup in the store's place, while the bridge is stopped. The devices then send again what it lacks and
    they still hold; the store that was there is kept beside it. The journal goes on: what only the former store has
    of it is carried over, and CAP documents with it. The page's accounts come back where there are none."""
    from gateway import config, restoring, storefile
    from gateway.bridge.handing import Handing
    from gateway.clock import SystemClock

    with process.told():
        bridge, _ = config.load_bridge(folder)
        beside = _accounts_beside(file)
        if accounts and not beside.exists():
            raise Unavailable(f"there is no {beside} with accounts. Without --accounts they stay as they are")
        now_ms = SystemClock().now_ms()
        kept = storefile.restore(file, bridge.store, finish=lambda db: restoring.finish(db, bridge.store, now_ms))
        Handing.beside(bridge.store).forget()  # its numbers are those of the former store
        typer.echo(f"{bridge.store} is now {file}, under a new name of its own{_former(kept)}")
        _restore_accounts(folder, beside, accounts)


def _restore_accounts(folder: Path, file: Path, wanted: bool) -> None:
    """Those that are there stay unless others are `wanted`: they may be newer, with a right less."""
    import getpass

    from gateway import config
    from gateway.clock import SystemClock
    from gateway.web import accountcopy
    from gateway.web.accountrows import By

    if not file.exists():
        return
    path = config.load_web(folder)[0].accounts
    if accountcopy.has_accounts(path) and not wanted:
        typer.echo(f"the accounts {path} stay as they are; --accounts takes those of {file}")
        return
    by = By(os.environ.get("SUDO_USER") or getpass.getuser(), "cli")
    kept = accountcopy.restore(file, path, by, SystemClock())
    typer.echo(f"{path} is now {file}; everybody signs in again{_former(kept)}")


def _former(kept: Path | None) -> str:
    return f"; the former is {kept}" if kept else ""


@bridge_app.command("refill")
def refill(
    since: Annotated[str, typer.Option("--since", help="7d, 2h, 2026-11-22, 2026-11-22T03:00.")],
    folder: Path = process.ConfigOption,
) -> None:
    """Send InfluxDB again what arrived since a time, after it has lost data. A point that it still has stays the same
    point. The bridge may run."""
    from gateway import config
    from gateway.bridge.requests import RefillRequest
    from gateway.cli import asking, times
    from gateway.clock import SystemClock

    with process.told():
        bridge, registry = config.load_bridge(folder)
        since_ms = times.parse(since, SystemClock().now_ms())
        assert since_ms is not None
        answer = asking.ask(bridge, registry, "refill", RefillRequest(since_ms))
    typer.echo(f"{answer['rows']} points since {times.local(since_ms)} go to InfluxDB again")

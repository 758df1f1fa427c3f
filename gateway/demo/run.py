"""Running the demonstration: what `suimon demo` does once its options are read."""

from __future__ import annotations

import importlib.util
import json
import signal
import sqlite3
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

import typer
from rich.console import Console
from rich.live import Live

from gateway import config, storefile
from gateway.cli.process import EXIT_CONFIG, EXIT_UNAVAILABLE, simulators_module
from gateway.clock import SimClock
from gateway.demo import account as accounts
from gateway.demo import influxdb, screen
from gateway.demo.account import Account
from gateway.demo.plan import Place, Plan, write
from gateway.demo.processes import Family, free_port, listening, suimon
from gateway.errors import ConfigError, Unavailable

SQL_STORED = "SELECT coalesce(sum(b - a + 1), 0) FROM ranges WHERE kind = 'stored'"
PATIENCE_S = 75.0  # without any progress, longer than a device waits before it sends an unsettled sample again
RIVER_HOURS = 12.0
EXIT_STOPPED = 130


class Stopped(Exception):
    """Ctrl-C or SIGTERM."""


@dataclass(frozen=True, slots=True)
class Options:
    """What `suimon demo` was asked for."""

    seconds: float | None
    speed: str | None
    replay: Path | None
    influx_url: str | None
    influx_database: str
    influx_org: str
    influx_token_file: Path | None
    json_output: bool
    data: Path | None
    broker: str
    port: int | None
    account: Path | None


def demonstrate(options: Options) -> int:
    """Run it; the exit code: 0 the account closes, 1 it does not, 3 configuration, 4 unavailable, 130 stopped."""
    console = Console(stderr=options.json_output)
    if options.account is not None:
        return _again(options.account, console, options.json_output)
    try:
        if options.broker not in ("auto", "embedded"):
            raise ValueError(f"--broker {options.broker}: give 'auto' or 'embedded'")
        folder = _folder(options.data)
        plan, target = _planned(options)
        with _stop_signals():
            result = _run(plan, folder, target, options, console)
    except ConfigError as e:
        typer.echo(str(e), err=True)
        return EXIT_CONFIG
    except (Unavailable, OSError, ValueError) as e:
        typer.echo(str(e), err=True)
        return EXIT_UNAVAILABLE
    except (Stopped, KeyboardInterrupt):
        typer.echo("stopped; nothing was left running", err=True)
        return EXIT_STOPPED
    _finish(result, plan, console, folder, options.json_output)
    return 0 if result.closes else 1


def _planned(o: Options) -> tuple[Plan, influxdb.Target | None]:
    """The plan, and the InfluxDB it writes to. Raises Unavailable, ValueError."""
    plan = _replay_plan(o.replay, o.speed, o.seconds) if o.replay else _river_plan(o.seconds, o.speed)
    if not o.influx_url:
        return plan, None
    token = o.influx_token_file.read_text().strip() if o.influx_token_file else ""
    target = influxdb.detect(o.influx_url, o.influx_database, o.influx_org, token)
    influxdb.create(target)
    return replace(
        plan, influx=target.settings(str(o.influx_token_file.absolute()) if o.influx_token_file else None)
    ), target


def _finish(result: Account, plan: Plan, console: Console, folder: Path, json_output: bool) -> None:
    (folder / "plan.json").write_text(json.dumps({"title": plan.title, "within_ms": round(plan.interval_s * 1000)}))
    screen.closing(result, console, folder)
    if json_output:
        print(result.as_json(), flush=True)


def _again(folder: Path, console: Console, json_output: bool) -> int:
    """The account of an earlier run from its files, without running anything."""
    try:
        about = json.loads((folder / "plan.json").read_text())
        result = accounts.close(folder / "store.db", folder / "served", about["within_ms"])
    except (OSError, ValueError, KeyError, sqlite3.Error) as e:
        typer.echo(f"{folder} does not hold a finished demo: {e}", err=True)
        return EXIT_UNAVAILABLE
    screen.closing(result, console, folder)
    if json_output:
        print(result.as_json(), flush=True)
    return 0 if result.closes else 1


@contextmanager
def _stop_signals() -> Iterator[None]:
    """SIGTERM ends the demonstration as Ctrl-C does."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise Stopped

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _folder(data: Path | None) -> Path:
    if data is None:
        return Path(tempfile.mkdtemp(prefix="suimon-demo-"))
    data.mkdir(parents=True, exist_ok=True)
    if any(data.iterdir()):
        raise ValueError(f"{data} is not empty: an account must begin with nothing. Name another folder, or empty it.")
    return data.absolute()


# --- plans -------------------------------------------------------------------------------------------------------


def _factor(speed: str | None) -> float | None:
    """A number above 0, or None for max. Raises ValueError."""
    if speed == "max":
        return None
    try:
        factor = float(speed or "")
    except ValueError:
        factor = 0.0
    if not 0 < factor <= 1e6:
        raise ValueError(f"--speed {speed}: give a number above 0, at most 1000000, or 'max'")
    return factor


def _river_plan(seconds: float | None, speed: str | None) -> Plan:
    scenario = simulators_module("scenario")
    hours = RIVER_HOURS
    factor = _factor(speed) if speed else hours * 3600 / (seconds or 120.0)
    if speed and seconds and factor:
        hours = min(hours, seconds * factor / 3600)
    places = [
        Place(
            s.id, s.name_ja, s.name_en, s.latitude, s.longitude, s.gauge_zero, {t.level: t.value for t in s.thresholds}
        )
        for s in scenario.STATIONS
    ]
    arguments = ["run", "river", "--hours", f"{hours:.6f}", "--interval", "60s", "--port-base", "0"]
    origin = int(time.time()) // 60 * 60_000
    return Plan("Kasuga river 春日川", places, origin, 60.0, factor, arguments, scenario.SOURCE)


def _replay_plan(file: Path, speed: str | None, seconds: float | None) -> Plan:
    recording = simulators_module("recordings").read(file)
    interval_s = recording.shortest_step_s
    rows = recording.rows
    factor = _factor(speed) if speed else len(rows) * interval_s / (seconds or 120.0)
    place = Place(
        "replay", recording.title, recording.title, 0.0, 0.0, 0.0, {"caution": 2.0, "danger": 3.9}, "gauge zero"
    )
    arguments = ["replay", str(file.absolute()), "--station", place.id, "--port", "0"]
    source = "thresholds of the demonstration"
    return Plan(recording.title, [place], rows[0].at_ms, interval_s, factor, arguments, source, zone="UTC", utc_hours=0)


# --- running -----------------------------------------------------------------------------------------------------


def _run(plan: Plan, folder: Path, target: influxdb.Target | None, options: Options, console: Console) -> Account:
    family = Family(folder)
    try:
        broker_port = free_port()
        broker = family.broker(broker_port, options.broker)
        clock = SimClock.create(folder / "clock", plan.origin_ms, plan.factor)
        ports = _start_sensors(family, plan, folder)
        folders = write(plan, folder, broker_port, ports)
        bridge, _ = config.load_bridge(folders["bridge"])
        for place in plan.places:
            config.load_edge(folders[place.device])
        clock_option = ["--sim-clock", str(folder / "clock")]
        family.add("bridge", suimon("bridge", "run", "--config", str(folders["bridge"]), *clock_option))
        for place in plan.places:
            family.add(place.device, suimon("edge", "run", "--config", str(folders[place.device]), *clock_option))
        family.wait_for("the devices' first word at the bridge", lambda: _devices(bridge.store) == len(plan.places))
        page = _page(family, folders["bridge"], options.port, clock_option, console)
        clock.start()
        _watch(plan, family, clock, bridge.store, broker, page, bridge.level_table, console)
        _drain(family, plan, folder, bridge.store, bool(target))
        family.stop(*(place.device for place in plan.places))
        family.stop("bridge")
        result = accounts.close(bridge.store, folder / "served", round(plan.interval_s * 1000))
        return _with_influx(result, target, plan, bridge.store)
    finally:
        family.stop()


def _page(family: Family, folder: Path, port: int | None, clock: list[str], console: Console) -> str:
    """Serve the page on that port, else on 8080, else on a free one; its address, empty where its packages are not
    installed. Raises Unavailable for a port that was asked for and is taken."""
    if importlib.util.find_spec("fastapi") is None:
        console.print("no page: it needs pip install 'suimon[web]'")
        return ""
    if port is not None and listening(port):
        raise Unavailable(f"cannot serve the page on port {port}: another process has it. Give another --port")
    port = port or (free_port() if listening(8080) else 8080)
    family.add("web", suimon("web", "run", "--config", str(folder), "--port", str(port), "--demo", *clock))
    address = f"http://127.0.0.1:{port}/"
    family.wait_for("the page", lambda: _ready(f"{address}readyz"))
    console.print(f"the page: {address} (whoever sits at this machine is operator)", highlight=False, soft_wrap=True)
    return address


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as r:  # noqa: S310 - ours, on loopback
            return bool(r.status == 200)
    except OSError:
        return False


def _start_sensors(family: Family, plan: Plan, folder: Path) -> dict[str, int]:
    ready = folder / "sensors.json"
    shared = ["--clock", str(folder / "clock"), "--log", str(folder / "served"), "--ready", str(ready)]
    confirm = ["--confirm-store", str(folder / "store.db"), "--confirm-sql", SQL_STORED]
    family.add("sensors", suimon("sim", *plan.sim_arguments, *shared, *confirm))
    family.wait_for("the simulated sensors", ready.exists)
    return {s["station"]: s["port"] for s in json.loads(ready.read_text())["sensors"]}


def _devices(store: Path) -> int:
    """Devices whose spool statement the bridge has stored."""
    try:
        db = storefile.connect(store)
        try:
            return int(db.execute("SELECT count(*) FROM devices WHERE opening IS NOT NULL").fetchone()[0])
        finally:
            db.close()
    except (Unavailable, sqlite3.Error):
        return 0


def _watch(
    plan: Plan, family: Family, clock: SimClock, store: Path, broker: str, page: str, level_table: str, console: Console
) -> None:
    """Until the clock stops: the live table on a terminal, lines elsewhere."""
    view = screen.Screen(plan, config.load_levels(level_table), broker, console.width, page)
    seen = 0
    live = Live(console=console, refresh_per_second=4, transient=False) if console.is_terminal else None
    if live:
        live.start()
    try:
        while True:
            ended = clock.frozen
            for name in family.tend():
                console.print(f"{name} ended and was started again")
            new = screen.events(store, seen)
            seen = new[-1].id if new else seen
            if live:
                live.update(view.render(clock.now_ms(), screen.states(store), new, screen.stored_samples(store)))
            else:
                for event in new:
                    console.print(screen.line(event, plan), soft_wrap=True, highlight=False)
            if ended:
                return
            time.sleep(0.25)
    finally:
        if live:
            live.stop()


def _drain(family: Family, plan: Plan, folder: Path, store: Path, influx: bool) -> None:
    """Wait until everything served is stored, told and written, as long as something moves."""
    progress: tuple[int, ...] = ()
    since = time.monotonic()
    while time.monotonic() - since < PATIENCE_S:
        family.tend()
        served = sum(len(p.read_bytes().splitlines()) for p in (folder / "served").glob("*.jsonl"))
        stored, owed, unwritten = _left(store, influx)
        if stored >= served and not owed and not unwritten:
            return
        if (stored, owed, unwritten) != progress:
            progress, since = (stored, owed, unwritten), time.monotonic()
        time.sleep(0.1)


def _left(store: Path, influx: bool) -> tuple[int, int, int]:
    """(samples stored or otherwise settled, notifications owed, rows that InfluxDB has not)."""
    db = storefile.connect(store)
    try:
        settled = db.execute("SELECT coalesce(sum(b - a + 1), 0) FROM ranges").fetchone()[0]
        owed = db.execute("SELECT count(*) FROM outbox WHERE state = 'owed'").fetchone()[0]
        last = db.execute("SELECT coalesce(max(id), 0) FROM observations").fetchone()[0] if influx else 0
        cursor = db.execute("SELECT position FROM cursors WHERE name = 'influx'").fetchone()
        return settled, owed, last - (cursor[0] if cursor and influx else 0)
    finally:
        db.close()


def _with_influx(result: Account, target: influxdb.Target | None, plan: Plan, store: Path) -> Account:
    """Count what InfluxDB holds of this run; every finite value must be there as it is in the store."""
    found = influxdb.points(target, plan.tenant) if target else None
    if found is None:
        return result
    stored = accounts.stored_points(store)
    same = sum(1 for key, value in stored.items() if found.get(key) == value)
    if same == len(stored):
        return replace(result, influx_points=same)
    problem = f"{len(stored) - same} of {len(stored)} values are not in InfluxDB as they are in the store"
    return replace(result, influx_points=same, problems=(*result.problems, problem))

"""`suimon sim`: sensors without hardware. A flooding river, or a recording, served as Modbus TCP registers; devices of
others at a broker."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from gateway.cli import simbroker, simdevices
from gateway.cli.process import EXIT_CONFIG, refuse, simulators_module, unavailable
from gateway.clock import SimClock
from gateway.errors import ConfigError, Problem, Unavailable

if TYPE_CHECKING:
    from gateway.profiles import Profile

sim_app = typer.Typer(
    help="Sensors without hardware: a flooding river, a recording, devices of others.", no_args_is_help=True
)
sim_app.command("devices")(simdevices.devices)
sim_app.command("account")(simdevices.account)
sim_app.command("contextbroker")(simbroker.contextbroker)
sim_app.command("bulletins")(simbroker.bulletins)

Seconds = Annotated[float | None, typer.Option(min=1, help="Real seconds the flood takes (120).")]
Speed = Annotated[str | None, typer.Option(help="Virtual seconds in a real one, or 'max': one step a read.")]
Hours = Annotated[float, typer.Option(min=0.001, help="Virtual length of the flood.")]
Interval = Annotated[str, typer.Option(help="How often the agents read, virtual; the step of --speed max.")]
PortBase = Annotated[int, typer.Option(min=0, max=65000, help="Port of the first sensor; 0: any free ports.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port of the sensor; 0: any free one.")]
Model = Annotated[str, typer.Option("--profile", help="Sensor model; needs a value 'read_counter'.")]
Seed = Annotated[int, typer.Option(help="Another seed, a slightly different storm.")]
Data = Annotated[Path | None, typer.Option(help="Folder for everything; a new temporary one if not given.")]
Log = Annotated[Path | None, typer.Option(help="Folder for the sensors' logs of what they served (DATA/served).")]
# For a simulation of several processes, which `suimon demo` starts: they share one clock.
ClockFile = Annotated[Path | None, typer.Option("--clock", hidden=True)]
ReadyFile = Annotated[Path | None, typer.Option("--ready", hidden=True)]
ConfirmStore = Annotated[Path | None, typer.Option("--confirm-store", hidden=True)]
ConfirmSql = Annotated[str, typer.Option("--confirm-sql", hidden=True)]


@dataclass(frozen=True)
class _Shared:
    """What both commands are given."""

    data: Path | None
    log: Path | None
    clock: Path | None
    ready: Path | None
    confirm_store: Path | None
    confirm_sql: str

    def stored_count(self) -> Any:
        if self.confirm_store is None:
            return None
        return simulators_module("pacing").StoreCount(self.confirm_store, self.confirm_sql)


@sim_app.command("run")
def run(
    scenario: Annotated[str, typer.Argument(help="Only 'river' so far.")] = "river",
    seconds: Seconds = None,
    speed: Speed = None,
    hours: Hours = 12.0,
    interval: Interval = "60s",
    port_base: PortBase = 5020,
    seed: Seed = 1,
    profile: Model = "sim_river_gauge",
    data: Data = None,
    log: Log = None,
    clock: ClockFile = None,
    ready: ReadyFile = None,
    confirm_store: ConfirmStore = None,
    confirm_sql: ConfirmSql = "",
) -> None:
    """Flood a small river with three gauges, each a Modbus TCP sensor."""
    from gateway import units

    if scenario != "river":
        _refuse(f"unknown scenario '{scenario}'. Did you mean 'river'?")
    shared = _Shared(data, log, clock, ready, confirm_store, confirm_sql)
    try:
        factor = _speed(speed, hours * 3600 / (seconds or 120.0))
        if seconds and factor is None:
            raise ValueError("--seconds has no meaning with --speed max: the flood is as fast as it is read")
        duration_s = min(hours * 3600, seconds * factor) if seconds and speed and factor else hours * 3600
        folder, sim_clock = _clock(shared, int(time.time()) // 60 * 60_000, factor)
        session = simulators_module("sessions").river(
            _profile(folder, profile),
            sim_clock,
            duration_s,
            units.seconds(interval),
            port_base,
            seed,
            shared.stored_count(),
        )
    except (ValueError, OSError) as e:
        _refuse(str(e))
    _serve(shared, folder, sim_clock, session)


@sim_app.command("replay")
def replay(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV: Environment Agency, or time,value.")],
    station: Annotated[str, typer.Option(help="Name of the station.")] = "replay",
    port: Port = 5020,
    speed: Speed = "max",
    profile: Model = "sim_river_gauge",
    data: Data = None,
    log: Log = None,
    clock: ClockFile = None,
    ready: ReadyFile = None,
    confirm_store: ConfirmStore = None,
    confirm_sql: ConfirmSql = "",
) -> None:
    """Play a recorded water level through a Modbus TCP sensor, one row for each read."""
    from gateway import fields

    shared = _Shared(data, log, clock, ready, confirm_store, confirm_sql)
    try:
        recording = simulators_module("recordings").read(file)
        folder, sim_clock = _clock(shared, recording.rows[0].at_ms, _speed(speed, 1.0))
        session = simulators_module("sessions").replay(
            _profile(folder, profile), sim_clock, recording, fields.name(station), port, shared.stored_count()
        )
    except (ValueError, OSError) as e:
        _refuse(str(e))
    if ready is None:
        missing = f" ({recording.missing} without a value)" if recording.missing else ""
        typer.echo(f"{recording.title}: {len(recording.rows)} rows{missing} from {_utc(recording.rows[0].at_ms)}.")
    _serve(shared, folder, sim_clock, session)


def _speed(text: str | None, otherwise: float) -> float | None:
    """The factor of the clock; None: stepped."""
    if text is None:
        return otherwise
    if text == "max":
        return None
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not 0 < factor <= 1e6:
        raise ValueError(f"--speed {text} is neither a number from above 0 to 1000000 nor 'max'")
    return factor


def _clock(shared: _Shared, origin_ms: int, factor: float | None) -> tuple[Path, SimClock]:
    """The folder and the clock of this simulation: a given one belongs to whoever gave it and is not started here."""
    if shared.clock is not None:
        return shared.data or shared.clock.parent, SimClock(shared.clock)
    folder = shared.data or Path(tempfile.mkdtemp(prefix="suimon-sim-"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder, SimClock.create(folder / "clock", origin_ms, factor)


def _serve(shared: _Shared, folder: Path, clock: SimClock, session: Any) -> None:
    log_dir = shared.log or folder / "served"

    def listening() -> None:
        if shared.ready is None:
            _welcome(session.sensors, log_dir, clock)
        if shared.clock is None:
            clock.start()

    async def pace(turns: Any) -> None:
        await session.pace(turns)
        while not clock.frozen:  # noqa: ASYNC110 - any process may stop the clock, and none can tell us
            await asyncio.sleep(0.2)
        if shared.ready is None:
            typer.echo(f"The end, {_utc(clock.now_ms())}. The sensors keep their last values; Ctrl-C ends them.")

    try:
        simulators_module("run").run_sensors(session.sensors, clock, log_dir, shared.ready, listening, pace)
    except Unavailable as e:
        raise unavailable(e) from e


def _welcome(sensors: Any, log_dir: Path, clock: SimClock) -> None:
    speed = f"{clock.factor:g} times real speed" if clock.factor else "one step a read of every sensor"
    typer.echo(f"Virtual time begins at {_utc(clock.origin_ms)}; {speed}.")
    for s in sensors:
        typer.echo(f"  {s.station:20} 127.0.0.1:{s.port}   what it served: {log_dir / s.station}.jsonl")
    first = sensors[0]
    profile: Profile = first.profile
    address, count = profile.blocks()[0]
    typer.echo(f"{profile.function.capitalize()} registers {address} to {address + count - 1}, any unit id. Try:")
    typer.echo(
        f"  {sys.executable} -c \"from pymodbus.client import ModbusTcpClient as C; "
        f"c = C('127.0.0.1', port={first.port}); c.connect(); "
        f"print(c.read_{profile.function}_registers({address}, count={count}).registers); c.close()\""
    )  # fmt: skip
    typer.echo(f"To break a sensor: echo no_echo > {log_dir / first.station}.mode   Ctrl-C ends all.")


def _profile(folder: Path, name: str) -> Profile:
    """The sensor model: one that comes with Suimon, or of `device_profiles/` in the folder."""
    from gateway import config, fields

    problems: list[Problem] = []
    profiles = config.load_profiles(folder, problems)
    if problems:
        raise refuse(ConfigError(problems))
    if name not in profiles:
        _refuse(f"unknown profile '{name}'{fields.instead(name, profiles)}")
    return profiles[name]


def _utc(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"


def _refuse(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(EXIT_CONFIG)

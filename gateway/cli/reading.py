"""`suimon edge read`: one sensor, read once, by one bus: what came, and what the profile makes of it. For the day on
which a sensor is put on its mast, and for buses and profiles alone, without broker, spool or bridge.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from gateway.cli import process
from gateway.cli.process import EXIT_CONFIG, EXIT_UNAVAILABLE
from gateway.clock import SystemClock
from gateway.errors import ConfigError, FaultCode

if TYPE_CHECKING:
    from gateway import settings
    from gateway.edge.sampling import Bus
    from gateway.profiles import Profile, Raw
    from gateway.readout import Readout

EXIT_FAULT = 1  # it answered, and some value is a fault

Model = Annotated[str | None, typer.Option("--profile", help="The sensor model: its name, or a file.")]
BusType = Annotated[str | None, typer.Option("--bus", help="The type of bus: modbus_tcp, …")]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="A setting of the bus, as in edge.yaml: host=192.168.1.20")
]
UnitId = Annotated[int | None, typer.Option(help="Of a sensor on Modbus (1).")]
Address = Annotated[str | None, typer.Option(help="Of a sensor on a bus that knows them by address.")]
Lines = Annotated[str | None, typer.Option(help="Of a sensor at GPIO lines, as in edge.yaml: '{count: 17}'.")]
Named = Annotated[
    str | None, typer.Option("--sensor", help="Instead: a sensor of edge.yaml in the folder of --config.")
]
Json = Annotated[bool, typer.Option("--json", help="Print as JSON.")]


def read(
    model: Model = None,
    bus: BusType = None,
    setting: Set = None,
    unit_id: UnitId = None,
    address: Address = None,
    lines: Lines = None,
    sensor: Named = None,
    folder: Path = process.ConfigOption,
    as_json: Json = False,
) -> None:
    """Read one sensor once, as often as its burst says: print what the bus gave, and each value. Exit 1: a value is a
    fault; 4: no answer."""
    from gateway import readout
    from gateway.edge.agent import open_bus

    wanted, stands, profile = (
        _configured(folder, sensor)
        if sensor is not None
        else _stated(folder, model, bus, setting or [], unit_id, address, lines)
    )
    opened = open_bus(wanted)
    try:
        raws = _burst(opened, stands, profile)
    finally:
        opened.close()
    heard: bytes = getattr(opened, "heard", b"")  # a bus that cuts frames from a stream keeps what came
    found = readout.readout(profile, raws[-1])
    sample = _sample(profile, raws, stands.burst)
    if as_json:
        told = {"where": opened.where, **readout.told(found), "sample": readout.told(sample)["values"]}
        print(json.dumps(told | {"readings": len(raws), "heard": heard.hex(" ").upper()}, ensure_ascii=False))
    else:
        mark = "" if profile.verified else " (UNVERIFIED)"
        print(f"{profile.id}{mark} at {opened.where}")
        for line in (*readout.lines(found), *_around(wanted, stands, found, sample, len(raws), heard)):
            print(line)
    if not (found.in_order if stands.burst == 1 else sample.in_order):
        raise typer.Exit(EXIT_UNAVAILABLE if found.raw is None else EXIT_FAULT)


def _burst(bus: Bus, stands: settings.Sensor, profile: Profile) -> list[Raw | FaultCode]:
    """As many readings as the agent takes for a sample; one that fails is the last."""
    clock, never = SystemClock(), threading.Event()
    raws = [bus.read(stands, profile)]
    while len(raws) < stands.burst and not isinstance(raws[-1], FaultCode):
        clock.wait_uptime(clock.uptime_ms() + round(profile.sampled.pause_s * 1000), never)
        raws.append(bus.read(stands, profile))
    return raws


def _sample(profile: Profile, raws: Sequence[Raw | FaultCode], burst: int) -> Readout:
    """What the agent would send of these readings of a burst: the median of each value."""
    from gateway import readout
    from gateway.edge.burst import middle

    each = [readout.readout(profile, raw).values for raw in raws]
    whole = not isinstance(raws[-1], FaultCode)
    return readout.Readout(profile, None, None, middle(each, len(raws) if whole else burst))


def _around(
    bus: settings.Bus, stands: settings.Sensor, found: Readout, sample: Readout, readings: int, heard: bytes
) -> Iterator[str]:
    """What there is to say beside the last reading: the sample of a burst, what to look at, an example."""
    from gateway import faultwords, readout, units

    if found.raw is None and heard:
        yield f"what came last, and no whole answer in it: {heard.decode('ascii', 'backslashreplace')!r}"
        yield f"  hex: {heard.hex(' ').upper()}"
    if found.fault is not None:
        yield f"look at: {faultwords.remedy(bus, found.fault)}"
    elif set(found.values.values()) == {FaultCode.MALFORMED}:
        yield f"look at: is it this model, set as its profile's head says? 'suimon profile show {found.profile.id}'"
    if stands.burst > 1:
        yield f"sample, the median of {readings} of {stands.burst} readings"
        yield from (f"  {line}" for line in readout.values(sample))
    if warm_up_s := found.profile.sampled.warm_up_s:
        yield f"it warms up: what it says within {units.in_words(warm_up_s)} after power came is not to be believed"
    if found.fault is None and readout.is_example(found):
        yield "as an example of the profile, once somebody has compared it with the sensor"
        yield "  " + readout.example(found, "read", f"read at the sensor, {_today()}")


def _configured(folder: Path, name: str) -> tuple[settings.Bus, settings.Sensor, Profile]:
    """A sensor of edge.yaml."""
    from gateway import config, fields

    with process.told():
        edge, profiles = config.load_edge(folder)
    found = next((sensor for sensor in edge.sensors if sensor.name == name), None)
    if found is None:
        _refuse(f"edge.yaml has no sensor '{name}'{fields.instead(name, [s.name for s in edge.sensors])}")
    return edge.buses[found.bus], found, profiles[found.profile]


def _stated(
    folder: Path,
    model: str | None,
    bus: str | None,
    given: list[str],
    unit_id: int | None,
    address: str | None,
    lines: str | None,
) -> tuple[settings.Bus, settings.Sensor, Profile]:
    """A sensor of these words."""
    from gateway import busfile, fields, onesensor
    from gateway.cli.profile import load

    if model is None or bus is None:
        _refuse("say which: '--profile NAME --bus TYPE --set …', or '--config FOLDER --sensor NAME'")
    profile = load(model, folder)
    if bus not in busfile.KINDS:
        _refuse(f"unknown bus '{bus}'{fields.instead(bus, busfile.KINDS)}")
    try:
        found, stands = onesensor.of(profile, bus, given, unit_id, address, lines)
    except ConfigError as e:
        _refuse("\n".join(map(onesensor.said, e.problems)))
    return found, stands, profile


def _today() -> str:
    return f"{datetime.fromtimestamp(SystemClock().now_ms() / 1000, UTC):%Y-%m-%d}"


def _refuse(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(EXIT_CONFIG)

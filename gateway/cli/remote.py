"""`suimon remote`: what a device is told from afar, through the running bridge; each command waits for its answer."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from gateway.cli import process
from gateway.errors import CommandCode, ConfigError, Problem, Unavailable

remote_app = typer.Typer(help="Tell a device something from afar: it answers, once.", no_args_is_help=True)

LIVES_S = 120.0  # a command, where nothing takes longer
# Files that stand on the device, which looks for them itself.
THERE = ("password_file", "token_file", "ca_file", "cert_file", "key_file")

Device = Annotated[str, typer.Argument(help="The device, as stations.yaml names it.")]
Tenant = Annotated[str | None, typer.Option("--tenant", help="Whose device, where several have one of that name.")]
Sensor = Annotated[str, typer.Option("--sensor", help="One sensor of edge.yaml; without it all.")]
Json = Annotated[bool, typer.Option("--json", help="For scripts.")]


@remote_app.callback()
def _remote() -> None:
    """Tell a device something from afar."""


@remote_app.command("sample")
def sample(
    device: Device,
    sensor: Sensor = "",
    tenant: Tenant = None,
    folder: Path = process.ConfigOption,
    as_json: Json = False,
) -> None:
    """Read its sensors now; the readings are stored as any others."""
    with process.told():
        answer = _tell(folder, device, tenant, "sample", {"sensor": sensor})
    _say(answer, as_json)


@remote_app.command("interval")
def interval(
    device: Device,
    every: Annotated[str, typer.Argument(help="10s, 5min.")],
    lasts: Annotated[str, typer.Option("--for", help="For how long; a restart of the device ends it too.")] = "1h",
    sensor: Sensor = "",
    tenant: Tenant = None,
    folder: Path = process.ConfigOption,
    as_json: Json = False,
) -> None:
    """Read its sensors more often for a time, within the limits of its edge.yaml."""
    from gateway import units

    try:
        args = {"interval_s": units.seconds(every), "for_s": units.seconds(lasts), "sensor": sensor}
    except ValueError as e:
        raise typer.BadParameter(str(e)) from None
    with process.told():
        answer = _tell(folder, device, tenant, "interval", args)
    _say(answer, as_json)


@remote_app.command("diagnostics")
def diagnostics(
    device: Device, tenant: Tenant = None, folder: Path = process.ConfigOption, as_json: Json = False
) -> None:
    """How it is: version, clock, spool, health, sensors, the last lines of its log."""
    with process.told():
        answer = _tell(folder, device, tenant, "diagnostics", {})
    _say(answer, as_json)


@remote_app.command("restart")
def restart(device: Device, tenant: Tenant = None, folder: Path = process.ConfigOption, as_json: Json = False) -> None:
    """Begin the agent anew; its readings stay."""
    with process.told():
        answer = _tell(folder, device, tenant, "restart", {})
    _say(answer, as_json)


@remote_app.command("config")
def config_(
    device: Device,
    source: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="A folder with its new edge.yaml.")],
    within: Annotated[str, typer.Option("--within", help="It goes back by itself without contact for so long.")] = (
        "5min"
    ),
    tenant: Tenant = None,
    folder: Path = process.ConfigOption,
    as_json: Json = False,
) -> None:
    """Push edge.yaml and the profiles beside it. They are checked here and on the device, tried there, and taken
    back by the device itself where the bridge is not heard in time."""
    from gateway import units

    try:
        within_s = units.seconds(within)
    except ValueError as e:
        raise typer.BadParameter(str(e)) from None
    with process.told():
        whose, files = _checked(source, device)
        if tenant not in (None, whose):
            raise Unavailable(f"{source} is a configuration of {whose}/{device}, not of {tenant}/{device}")
        answer = _tell(folder, device, whose, "config", {"files": files, "within_s": within_s}, 2 * within_s + LIVES_S)
    _say(answer, as_json)


def _checked(source: Path, device: str) -> tuple[str, dict[str, str]]:
    """(tenant, text by name) of what is pushed. Raises ConfigError with every problem but of secrets, which are on the
    device."""
    from gateway import config, yamlfile

    try:
        config.load_edge(source)
    except ConfigError as e:
        if problems := [x for x in e.problems if not x.path.endswith(THERE)]:
            raise ConfigError(problems) from None
    stated = yamlfile.read(source / config.EDGE, config.EDGE).mapping(())
    if stated.get("device") != device:
        problem = f"'{stated.get('device')}' is not the device that is told, which is '{device}'"
        raise ConfigError([Problem(config.EDGE, 1, 1, "device", problem)])
    names = [Path(config.EDGE), *sorted(x.relative_to(source) for x in (source / config.PROFILES).glob("*.yaml"))]
    return str(stated.get("tenant")), {name.as_posix(): (source / name).read_text(encoding="utf-8") for name in names}


def _tell(
    folder: Path, device: str, tenant: str | None, command: str, args: dict[str, Any], lives_s: float = LIVES_S
) -> dict[str, Any]:
    """The device's answer. Raises Unavailable where there is none."""
    from gateway import config, fields
    from gateway.bridge.commanding import RemoteRequest
    from gateway.cli import asking
    from gateway.clock import SystemClock
    from gateway.wire import Command

    bridge, registry = config.load_bridge(folder)
    owners = sorted(t for t, name in registry.devices if name == device and tenant in (None, t))
    if len(owners) != 1:
        known = sorted({name for t, name in registry.devices if tenant in (None, t)})
        what = f"belongs to several ({', '.join(owners)}): name one with --tenant"
        what = what if owners else f"is no device of ours{fields.instead(device, known)}"
        raise Unavailable(f"'{device}' {what}")
    expires_ms = SystemClock().now_ms() + round(lives_s * 1000)
    request = RemoteRequest(owners[0], device, Command(secrets.token_hex(8), command, expires_ms, args))
    state, answer = asking.ask_running(bridge.store, "remote", request, lives_s + 30)
    if state == "refused":
        raise Unavailable(f"{device}: {answer.get('reason', 'without a reason')}")
    return answer


def _say(answer: dict[str, Any], as_json: bool) -> None:
    """In words or as JSON; what the device refused is an error."""
    refused = answer.get("state") == "refused"
    if as_json:
        typer.echo(json.dumps(answer, ensure_ascii=False))
    elif refused:
        _refused(answer)
    else:
        typer.echo(" ".join(x for x in (str(answer.get("state")), str(answer.get("detail", ""))) if x))
        for key, value in answer.get("data", {}).items():
            _show(key, value)
    if refused:
        raise typer.Exit(process.EXIT_UNAVAILABLE)


def _refused(answer: dict[str, Any]) -> NoReturn:
    code = str(answer.get("code", ""))
    known = code in CommandCode._value2member_map_
    detail = f" ({answer['detail']})" if answer.get("detail") else ""
    typer.echo(f"refused: {CommandCode(code).sentence if known else code}{detail}", err=True)
    for line in answer.get("data", {}).get("problems", []):
        typer.echo(line, err=True)
    raise typer.Exit(process.EXIT_UNAVAILABLE)


def _show(key: str, value: object, indent: str = "") -> None:
    if isinstance(value, dict):
        typer.echo(f"{indent}{key}:")
        for name, inner in value.items():
            _show(str(name), inner, indent + "  ")
    elif isinstance(value, list):
        typer.echo(f"{indent}{key}:")
        for inner in value:
            typer.echo(f"{indent}  {json.dumps(inner, ensure_ascii=False) if isinstance(inner, dict) else inner}")
    else:
        typer.echo(f"{indent}{key}: {value}")

"""`suimon alert`: what is open, who was told, and what a person does about it."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import alertview, process, times

if TYPE_CHECKING:
    import msgspec

alert_app = typer.Typer(help="Alerts: what is open, who was told, and what to do about it.", no_args_is_help=True)
maintenance_app = typer.Typer(help="A station under work: stored and marked, alarming nobody.", no_args_is_help=True)
drill_app = typer.Typer(help="Exercises, beside whatever is real.", no_args_is_help=True)
alert_app.add_typer(maintenance_app, name="maintenance")
alert_app.add_typer(drill_app, name="drill")


class Basis(StrEnum):
    CAMERA = "camera"
    PATROL = "patrol"
    PHONE = "phone"
    OFFICE = "office"


EpisodeArgument = Annotated[str, typer.Argument(help="The episode, or its station.")]
StationArgument = Annotated[str, typer.Argument(help="The station.")]
StationOption = Annotated[str, typer.Option("--station", "-s", help="The station.")]
ByOption = Annotated[str, typer.Option("--by", help="Who, where it is not who types.")]
NoteOption = Annotated[str, typer.Option("--note", help="For the journal.")]
BasisOption = Annotated[Basis, typer.Option("--basis", help="What it rests on: camera, patrol, phone or office.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Against what data show; needs a --note.")]
ForOption = Annotated[str, typer.Option("--for", help="How long: 30min, 2h, 3d.")]
TenantOption = Annotated[str | None, typer.Option("--tenant", help="Where two have a station of that name.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print as JSON.")]


# --- reading -----------------------------------------------------------------------------------------------------


@alert_app.command("list")
def list_(json_output: JsonOption = False, folder: Path = process.ConfigOption) -> None:
    """What is open, the worst first."""
    with process.told():
        document = alertview.listed(alertview.place(folder))
    typer.echo(json.dumps(document, ensure_ascii=False) if json_output else "\n".join(alertview.list_lines(document)))


@alert_app.command("show")
def show(
    episode: EpisodeArgument,
    tenant: TenantOption = None,
    json_output: JsonOption = False,
    folder: Path = process.ConfigOption,
) -> None:
    """One episode from its beginning: what changed, who was told, and what became of it."""
    with process.told():
        document = alertview.shown(alertview.place(folder), episode, tenant)
    typer.echo(json.dumps(document, ensure_ascii=False) if json_output else "\n".join(alertview.show_lines(document)))


@alert_app.command("plan")
def plan(
    station: StationArgument,
    rank: Annotated[int, typer.Option("--rank", min=1, max=5, help="The rank that is reached.")] = 4,
    at: Annotated[str | None, typer.Option("--at", help="When: 2026-12-31T02:00; now by default.")] = None,
    tenant: TenantOption = None,
    json_output: JsonOption = False,
    folder: Path = process.ConfigOption,
) -> None:
    """Who would be called, in order. Needs no store."""
    with process.told():
        document = alertview.planned(folder, station, rank, at, tenant)
    typer.echo(json.dumps(document, ensure_ascii=False) if json_output else "\n".join(alertview.plan_lines(document)))


# --- seen, and judged --------------------------------------------------------------------------------------------


@alert_app.command("acknowledge")
def acknowledge(
    episode: Annotated[str, typer.Argument(help="The episode, or its station.")] = "",
    test: Annotated[str, typer.Option("--test", help="A test of the call that has arrived.")] = "",
    recipient: Annotated[str, typer.Option("--recipient", help="Where it arrived.")] = "",
    by: ByOption = "",
    note: NoteOption = "",
    tenant: TenantOption = None,
    json_output: JsonOption = False,
    folder: Path = process.ConfigOption,
) -> None:
    """Seen: nobody else is called for this rank. It is no judgement. With --test: who has answered."""
    from gateway.bridge.acts import Acknowledge

    if bool(episode) == bool(test):
        raise typer.BadParameter("name an episode, or a test with --test and --recipient")
    body = Acknowledge(tenant=tenant, by=by, note=note, episode=episode, test=test, recipient=recipient)
    answer = _ask(folder, "alert.acknowledge", body)
    if test:
        said = f"{answer.get('recipient')} has answered test {answer.get('test')}"
    elif answer.get("already"):
        said = f"{answer['episode']} was acknowledged before, by {answer['by']} at {times.local(answer['at_ms'])}"
    else:
        said = f"{answer.get('episode')} is acknowledged; nobody else is called for it. It is not judged"
    _say(answer, said, json_output)


@alert_app.command("confirm")
def confirm(
    episode: EpisodeArgument,
    basis: BasisOption,
    by: ByOption = "",
    note: NoteOption = "",
    tenant: TenantOption = None,
    json_output: JsonOption = False,
    folder: Path = process.ConfigOption,
) -> None:
    """It is true: what the gauge claims stands."""
    answer = _judge(folder, "alert.confirm", episode, basis, by, note, tenant)
    before = f", as {answer['by']} said before" if answer.get("already") else f" at rank {answer.get('rank')}"
    _say(answer, f"{answer['episode']} is confirmed{before}", json_output)


@alert_app.command("reject")
def reject(
    episode: EpisodeArgument,
    basis: BasisOption,
    by: ByOption = "",
    note: NoteOption = "",
    tenant: TenantOption = None,
    json_output: JsonOption = False,
    folder: Path = process.ConfigOption,
) -> None:
    """It is a false alarm (誤報): it ends, and everybody who was told is told so."""
    answer = _judge(folder, "alert.reject", episode, basis, by, note, tenant)
    if answer.get("already"):
        said = f"{answer['episode']} was rejected before, by {answer['by']}"
    else:
        said = f"{answer['episode']} is rejected; the correction (訂正) goes to {answer['corrected']} recipients"
    _say(answer, said, json_output)


@alert_app.command("close")
def close(
    episode: EpisodeArgument,
    by: ByOption = "",
    note: NoteOption = "",
    force: ForceOption = False,
    tenant: TenantOption = None,
    json_output: JsonOption = False,
    folder: Path = process.ConfigOption,
) -> None:
    """The event is over. Refused while data show rank 3 or more."""
    answer = _judge(folder, "alert.close", episode, None, by, note, tenant, force)
    _say(answer, f"{answer['episode']} {'was closed before' if answer['already'] else 'is closed'}", json_output)


def _judge(
    folder: Path,
    kind: str,
    episode: str,
    basis: Basis | None,
    by: str,
    note: str,
    tenant: str | None,
    force: bool = False,
) -> dict[str, Any]:
    from gateway.bridge.acts import Judge

    return _ask(
        folder,
        kind,
        Judge(episode=episode, basis=basis.value if basis else None, by=by, note=note, tenant=tenant, force=force),
    )


# --- mutes and maintenance ---------------------------------------------------------------------------------------


@alert_app.command("mute")
def mute(
    station: StationArgument,
    length: ForOption = "2h",
    by: ByOption = "",
    note: NoteOption = "",
    tenant: TenantOption = None,
    json_output: JsonOption = False,
    folder: Path = process.ConfigOption,
) -> None:
    """A station rings nobody until a higher rank comes; 12 h at most."""
    _suspend(folder, "alert.mute", station, length, by, note, False, tenant, json_output)


@alert_app.command("unmute")
def unmute(
    station: StationArgument,
    by: ByOption = "",
    note: NoteOption = "",
    tenant: TenantOption = None,
    json_output: JsonOption = False,
    folder: Path = process.ConfigOption,
) -> None:
    """A station rings again."""
    _end(folder, "alert.unmute", station, by, note, tenant, json_output)


@maintenance_app.command("begin")
def begin(
    station: StationArgument,
    length: ForOption = "1d",
    by: ByOption = "",
    note: NoteOption = "",
    force: ForceOption = False,
    tenant: TenantOption = None,
    json_output: JsonOption = False,
    folder: Path = process.ConfigOption,
) -> None:
    """From now on; it ends by itself, after 30 days at most."""
    _suspend(folder, "maintenance.begin", station, length, by, note, force, tenant, json_output)


@maintenance_app.command("end")
def end(
    station: StationArgument,
    by: ByOption = "",
    note: NoteOption = "",
    tenant: TenantOption = None,
    json_output: JsonOption = False,
    folder: Path = process.ConfigOption,
) -> None:
    """The station alarms again."""
    _end(folder, "maintenance.end", station, by, note, tenant, json_output)


def _seconds(text: str) -> float:
    from gateway import units

    try:
        return units.seconds(text)
    except ValueError as e:
        raise typer.BadParameter(f"--for {text}: {e}") from None


def _suspend(
    folder: Path,
    kind: str,
    station: str,
    length: str,
    by: str,
    note: str,
    force: bool,
    tenant: str | None,
    json_output: bool,
) -> None:
    from gateway.bridge.acts import Suspend

    body = Suspend(station=station, for_s=_seconds(length), by=by, note=note, force=force, tenant=tenant)
    answer = _ask(folder, kind, body)
    what = "muted" if answer["kind"] == "mute" else "under maintenance"
    _say(answer, f"{answer['station']} is {what} until {times.local(answer['until_ms'])}", json_output)


def _end(folder: Path, kind: str, station: str, by: str, note: str, tenant: str | None, json_output: bool) -> None:
    from gateway.bridge.acts import End

    answer = _ask(folder, kind, End(station=station, by=by, note=note, tenant=tenant))
    what = "mute" if kind == "alert.unmute" else "drill" if kind == "drill.end" else "maintenance"
    _say(answer, f"{station}: {f'there was no {what}' if answer['already'] else f'the {what} has ended'}", json_output)


# --- drills and tests --------------------------------------------------------------------------------------------


@drill_app.command("begin")
def drill_begin(
    station: StationOption,
    rank: Annotated[int, typer.Option("--rank", min=2, max=5, help="The rank of the exercise.")] = 4,
    every: Annotated[bool, typer.Option("--every", help="Call every role at once.")] = False,
    length: ForOption = "12h",
    by: ByOption = "",
    note: NoteOption = "",
    tenant: TenantOption = None,
    json_output: JsonOption = False,
    folder: Path = process.ConfigOption,
) -> None:
    """Walk the real call plan, marked 【訓練】 everywhere."""
    from gateway.bridge.acts import Drill

    for_s = _seconds(length)
    body = Drill(station=station, rank=rank, for_s=for_s, every=every, by=by, note=note, tenant=tenant)
    answer = _ask(folder, "drill.begin", body)
    if answer["already"]:
        said = f"{answer['station']}: a drill is under way, {answer['episode']}"
    else:
        said = f"{answer['episode']} has begun; it ends at {times.local(answer['ends_ms'])} at the latest"
    _say(answer, said, json_output)


@drill_app.command("end")
def drill_end(
    station: StationOption,
    by: ByOption = "",
    note: NoteOption = "",
    tenant: TenantOption = None,
    json_output: JsonOption = False,
    folder: Path = process.ConfigOption,
) -> None:
    """The exercise is over; whoever was called is told."""
    _end(folder, "drill.end", station, by, note, tenant, json_output)


@alert_app.command("test")
def call_test(
    everybody: Annotated[bool, typer.Option("--all", help="Everybody who may ever be called.")] = False,
    recipient: Annotated[list[str] | None, typer.Option("--recipient", help="Only this one; may be repeated.")] = None,
    shown: Annotated[str | None, typer.Option("--show", help="How a test stands; 'last' for the newest.")] = None,
    by: ByOption = "",
    json_output: JsonOption = False,
    folder: Path = process.ConfigOption,
) -> None:
    """Send a message marked as a test, or show who got one and who has answered."""
    from gateway.bridge.acts import Test

    if sum((everybody, bool(recipient), shown is not None)) != 1:
        raise typer.BadParameter("one of --all, --recipient NAME and --show TEST")
    if shown is None:
        answer = _ask(folder, "alert.test", Test(recipients=tuple(recipient or ()), by=by))
        shown = str(answer["test"])
    with process.told():
        document = alertview.tested(alertview.place(folder), shown)
    typer.echo(json.dumps(document, ensure_ascii=False) if json_output else "\n".join(alertview.test_lines(document)))


# --- asking ------------------------------------------------------------------------------------------------------


def _ask(folder: Path, kind: str, body: msgspec.Struct) -> dict[str, Any]:
    """The bridge's answer, or the answer of the same code here where no bridge runs."""
    from gateway.cli import asking

    with process.told():
        at = alertview.place(folder)
        answer = asking.ask(at.bridge, at.registry, kind, body)
    return answer  # noqa: RET504 - mypy thinks that told() may go on


def _say(answer: dict[str, Any], text: str, json_output: bool) -> None:
    typer.echo(json.dumps({"version": 1, **answer}, ensure_ascii=False) if json_output else text)

"""`suimon letters`: what was rejected, why, what would make it acceptable, and taking it again."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import process, times
from gateway.errors import RejectCode, Unavailable

if TYPE_CHECKING:
    from gateway import settings
    from gateway.letterfile import Choice
    from gateway.letters import Letter
    from gateway.stations import Registry

letters_app = typer.Typer(help="Dead letters: what was rejected, why, and taking it again.", no_args_is_help=True)

SHOWN_BYTES = 4000
JSON_LIMIT = 1000

IdsArgument = Annotated[list[int] | None, typer.Argument(help="Letters by their number; none: by the options.")]
IdArgument = Annotated[int, typer.Argument(help="The letter's number.")]
CodeOption = Annotated[str | None, typer.Option("--code", help="Only this reason.")]
StationOption = Annotated[str | None, typer.Option("--station", help="Only what concerns this station.")]
DeviceOption = Annotated[str | None, typer.Option("--device", help="Only from this device.")]
SinceOption = Annotated[str | None, typer.Option("--since", help="Arrived since: 2h, 2026-11-22, 2026-11-22T03:00.")]
UntilOption = Annotated[str | None, typer.Option("--until", help="Arrived before.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print as JSON.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@letters_app.callback()
def _letters() -> None:
    """Dead letters: what was rejected, why, and taking it again."""


@dataclass(frozen=True, slots=True)
class _Place:
    bridge: settings.Bridge
    registry: Registry

    @property
    def store(self) -> Path:
        return self.bridge.store


def _place(folder: Path) -> _Place:
    from gateway import config

    place = _Place(*config.load_bridge(folder))
    if not place.store.exists():
        raise Unavailable(f"there is no store {place.store} yet: the bridge makes it when it first runs")
    return place


def _choice(
    place: _Place,
    code: str | None,
    station: str | None,
    device: str | None,
    since: str | None,
    until: str | None,
    ids: list[int] | None = None,
) -> Choice:
    """Which letters are meant, of those that are there now. Raises typer.BadParameter."""
    from gateway import letterfile
    from gateway.clock import SystemClock

    if code is not None and code not in RejectCode._value2member_map_:
        raise typer.BadParameter(f"{code!r} is no reason. One of {', '.join(RejectCode)}")
    known = [s for s in place.registry.stations.values() if s.id == station]
    now = SystemClock().now_ms()
    return letterfile.Choice(
        ids or [],
        device,
        station,
        known[0].device if known else None,
        code,
        times.parse(since, now),
        times.parse(until, now),
        letterfile.newest(place.store),
    )


@letters_app.command("list")
def list_(
    code: CodeOption = None,
    station: StationOption = None,
    device: DeviceOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    json_output: JsonOption = False,
    limit: Annotated[int, typer.Option(help="Single letters in the JSON; the newest.")] = JSON_LIMIT,
    folder: Path = process.ConfigOption,
) -> None:
    """How many, by device and reason."""
    from gateway import letterfile, storefile

    with process.told():
        place = _place(folder)
        choice = _choice(place, code, station, device, since, until)
        groups, newest, total = _grouped(place, choice, limit)
        ended = letterfile.tallies(place.store)
        name = storefile.rows(place.store, "SELECT value FROM meta WHERE key = 'store'")[0][0]
    if not json_output:
        _print_groups(groups, total)
        return
    document = {
        "version": 1,
        "store": name,
        "letters": [_described(x) for x in newest],
        "truncated": total > len(newest),
        "groups": [g.described() for g in groups],
        "totals": {
            "letters": total,
            "by_code": dict(sorted(_sums(groups).items())),
            "ended": [{"tenant": t, "device": d, "code": c, "fate": fate, "letters": n} for t, d, c, fate, n in ended],
        },
    }
    typer.echo(json.dumps(document, ensure_ascii=False))


@dataclass(slots=True)
class _Group:
    tenant: str
    device: str
    code: RejectCode
    letters: int
    arrivals: int
    first_ms: int
    last_ms: int
    newest_id: int

    def described(self) -> dict[str, Any]:
        return {
            "tenant": self.tenant, "device": self.device, "code": self.code.value, "letters": self.letters,
            "arrivals": self.arrivals, "first": times.iso(self.first_ms), "last": times.iso(self.last_ms),
            "newest_id": self.newest_id,
        }  # fmt: skip


def _grouped(place: _Place, choice: Choice, limit: int) -> tuple[list[_Group], list[Letter], int]:
    """By device and code; the newest letters themselves; their number."""
    from collections import deque

    from gateway import letterfile

    groups: dict[tuple[str, str, str], _Group] = {}
    newest: deque[Letter] = deque(maxlen=max(0, limit))
    total = 0
    for x in letterfile.every(place.store, choice):
        total += 1
        newest.append(x)
        new = _Group(x.tenant, x.device, x.code, 0, 0, x.received_ms, x.received_ms, x.id)
        group = groups.setdefault((x.tenant, x.device, x.code), new)
        group.letters += 1
        group.arrivals += x.count
        group.first_ms, group.last_ms = min(group.first_ms, x.received_ms), max(group.last_ms, x.received_ms)
        group.newest_id = x.id
    return [groups[key] for key in sorted(groups)], list(newest), total


def _sums(groups: list[_Group]) -> Counter[str]:
    return sum((Counter({g.code.value: g.letters}) for g in groups), Counter[str]())


def _print_groups(groups: list[_Group], total: int) -> None:
    if not groups:
        typer.echo("no dead letters")
        return
    typer.echo(f"times are local, {times.zone()}")
    head = ("device", "reason", "letters", "first", "last", "newest")
    rows = [
        (f"{g.tenant}/{g.device}".strip("/") or "?", g.code.value, str(g.letters), times.local(g.first_ms),
         times.local(g.last_ms), str(g.newest_id))
        for g in groups
    ]  # fmt: skip
    typer.echo(table([head, *rows], right=(2, 5)))
    sums = ", ".join(f"{n} {code}" for code, n in sorted(_sums(groups).items()))
    plural = "s" * (total != 1)
    typer.echo(f"{total} letter{plural}: {sums}. What would make one acceptable: suimon letters explain NUMBER")


def table(rows: list[tuple[str, ...]], right: tuple[int, ...] = ()) -> str:
    """Columns, two spaces apart."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(x.rjust(w) if i in right else x.ljust(w) for i, (x, w) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


# --- one letter --------------------------------------------------------------------------------------------------


def _described(x: Letter) -> dict[str, Any]:
    return {
        "id": x.id, "tenant": x.tenant, "device": x.device, "topic": x.topic, "code": x.code.value,
        "detail": x.detail, "bytes": x.bytes, "kept": x.payload is not None, "received": times.iso(x.received_ms),
        "log": x.log, "seq": x.seq, "record": x.record, "count": x.count,
    }  # fmt: skip


def _one(place: _Place, number: int) -> Letter:
    from gateway import letterfile

    found = letterfile.page(place.store, letterfile.Choice([number]))[0]
    if not found:
        newest = letterfile.newest(place.store)
        raise Unavailable(f"there is no letter {number} (any more); the newest is {newest}")
    return found[0]


def _safe(payload: bytes) -> str:
    """Text that does nothing to a terminal, bounded."""
    text = payload[:SHOWN_BYTES].decode("utf-8", "backslashreplace")
    shown = "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)
    cut = f"\n({len(payload) - SHOWN_BYTES} more bytes)" if len(payload) > SHOWN_BYTES else ""
    return shown + cut


@letters_app.command("show")
def show(number: IdArgument, json_output: JsonOption = False, folder: Path = process.ConfigOption) -> None:
    """One letter as it came."""
    with process.told():
        place = _place(folder)
        x = _one(place, number)
    if json_output:
        payload = None if x.payload is None else x.payload.decode("utf-8", "backslashreplace")
        typer.echo(json.dumps({"version": 1, "letter": _described(x) | {"payload": payload}}))
        return
    lines = [
        f"letter {x.id} from {_safe(f'{x.tenant}/{x.device}'.encode())}, {times.local(x.received_ms)} {times.zone()}",
        f"topic   {_safe(x.topic.encode())}",
        f"reason  {x.code.value}: {x.code.sentence} ({_safe(x.detail.encode())})",
    ]
    if x.of_record:
        lines.append(f"sample  log {x.log}, number {x.seq}, record {x.record}")
    if x.count > 1:
        lines.append(f"came    {x.count} times")
    lines.append(f"payload {x.bytes} bytes" + (", given up for space" if x.payload is None else ":"))
    typer.echo("\n".join([*lines, *([_safe(x.payload)] if x.payload is not None else [])]))


@letters_app.command("explain")
def explain(number: IdArgument, json_output: JsonOption = False, folder: Path = process.ConfigOption) -> None:
    """What would make one letter acceptable, and whether the configuration read here already does."""
    from gateway import letters

    with process.told():
        place = _place(folder)
        x = _one(place, number)
    sentence, now = letters.remedy(x, place.registry), _dry(place, x)
    if json_output:
        document = {"version": 1, "letter": _described(x), "sentence": x.code.sentence, "remedy": sentence} | now
        typer.echo(json.dumps(document, ensure_ascii=False))
        return
    typer.echo(f"letter {x.id}: {x.code.sentence}")
    typer.echo(_safe(sentence.encode()))
    typer.echo(_said_dry(now, folder))


def _dry(place: _Place, x: Letter) -> dict[str, Any]:
    """The pipeline on it with the configuration as it is now, without a trace."""
    from gateway import foreign, letters
    from gateway.bridge import trial
    from gateway.clock import SystemClock
    from gateway.pipeline import Judgement

    future = SystemClock().now_ms() + round(place.bridge.future_tolerance_s * 1000)
    judgement = Judgement(
        place.registry, future, lambda _l, _s: False, lambda _t, _s, _c: None, place.bridge.max_payload
    )
    if x.code in (RejectCode.UNWRITABLE, RejectCode.TIME_TAKEN):
        reason = letters.hopeless(x)
        return {"accepted": None, "values": 0, "remaining": [], "reason": reason}
    if letters.from_abroad(x) and foreign.found(place.bridge.sources, x.topic):
        said = trial.of(place.bridge, place.registry, x.topic, x.payload or b"")
        left = [y | {"sentence": RejectCode(y["code"]).sentence} for y in said["refused"]]
        return {"accepted": not left, "values": len(said["readings"]), "remaining": left, "reason": None}
    try:
        out = letters.again(x, judgement)
    except letters.Hopeless as e:
        return {"accepted": False, "values": 0, "remaining": [], "reason": str(e)}
    remaining = [{"code": y.code.value, "sentence": y.code.sentence, "detail": y.detail} for y in out.letters]
    return {"accepted": not remaining, "values": len(out.observations), "remaining": remaining, "reason": None}


def _said_dry(now: dict[str, Any], folder: Path) -> str:
    values = f"{now['values']} value{'s' * (now['values'] != 1)}"
    if now["reason"] is not None:
        return f"It cannot be replayed: {now['reason']}."
    if now["accepted"] is None:
        return "Whether a replay succeeds is for the database to say; nothing in the configuration stands in its way."
    if now["accepted"]:
        return (
            f"With the configuration in {folder} it would be accepted: {values}. 'suimon bridge reload', then replay."
        )
    rest = "; ".join(sorted({f"{y['code']}, {y['sentence']} ({y['detail']})" for y in now["remaining"]}))
    partly = f"{values} would be accepted, and there remains" if now["values"] else "it would still be rejected"
    return _safe(f"With the configuration in {folder} {partly}: {rest}.".encode())


# --- changes -----------------------------------------------------------------------------------------------------


@letters_app.command("replay")
def replay(
    numbers: IdsArgument = None,
    code: CodeOption = None,
    station: StationOption = None,
    device: DeviceOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    json_output: JsonOption = False,
    folder: Path = process.ConfigOption,
) -> None:
    """Take letters again, by the normal way, after what made them unacceptable was mended. The running bridge does
    it, by the configuration that it was started with: restart it first. Without a bridge it is done here."""
    from gateway.bridge.requests import LetterRequest
    from gateway.cli import asking

    with process.told():
        place = _place(folder)
        choice = _choice(place, code, station, device, since, until, numbers)
        body = LetterRequest(choice, place.registry.digest())
        answer = asking.ask(place.bridge, place.registry, "letters.replay", body)
    if json_output:
        typer.echo(json.dumps({"version": 1, **answer}))
        return
    typer.echo("\n".join(_replayed(answer)))


def _replayed(answer: dict[str, Any]) -> list[str]:
    lines = [f"{answer['letters']} letters taken again: {answer['stored']} values stored"]
    if answer["stored_before"]:
        lines.append(f"{answer['stored_before']} held nothing that had not been stored by another copy: taken away")
    if answer["resent"]:
        lines.append(f"{answer['resent']} points go to InfluxDB again; what it takes is no longer a letter")
    lines += [f"{n} stay: {RejectCode(c).sentence} ({c})" for c, n in sorted(answer["again"].items())]
    lines += [f"{n} cannot be taken: {why}" for why, n in sorted(answer["cannot"].items())]
    return lines


@letters_app.command("drop")
def drop(
    numbers: IdsArgument = None,
    code: CodeOption = None,
    station: StationOption = None,
    device: DeviceOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    yes: YesOption = False,
    json_output: JsonOption = False,
    folder: Path = process.ConfigOption,
) -> None:
    """Throw letters away for good; their number is kept."""
    from gateway.bridge.requests import LetterRequest
    from gateway.cli import asking

    with process.told():
        place = _place(folder)
        choice = _choice(place, code, station, device, since, until, numbers)
        if not (numbers or code or station or device or since or until):
            raise Unavailable("drop what? Name letters by number, or --code, --station, --device, --since, --until")
        groups, _, total = _grouped(place, choice, 0)
        if total and not yes:
            sums = ", ".join(f"{n} {c}" for c, n in sorted(_sums(groups).items()))
            typer.confirm(f"Drop {total} letters for good ({sums})?", abort=True, err=True)
        answer = asking.ask(place.bridge, place.registry, "letters.drop", LetterRequest(choice))
    typer.echo(json.dumps({"version": 1, **answer}) if json_output else f"{answer['dropped']} letters dropped")

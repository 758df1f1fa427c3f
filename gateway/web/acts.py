"""What people do: each is a row of `requests` in the bridge's store, which the bridge applies in its next batch. The
page itself changes nothing."""

from __future__ import annotations

import contextlib
import time
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from gateway import journalfile, journalwords, storefile
from gateway.errors import ActCode, Unavailable
from gateway.instants import iso
from gateway.journalfile import Choice
from gateway.web.asking import Address, Here, Operator, Staff
from gateway.web.problems import Problem, documented
from gateway.web.rest import NAME, PROBLEMS, json
from gateway.web.site import Site
from gateway.web.who import Who

WAIT_S, LOOK_S = 5.0, 0.05
Text = Annotated[str, Field(max_length=2000)]
Place = Annotated[str, Field(pattern=NAME)]
EpisodeId = Annotated[str, Field(max_length=160)]
Basis = Literal["camera", "patrol", "phone", "office"]
Written = Literal[
    "call", "patrol", "camera", "closure", "reopening", "order", "bulletin", "handover", "signed", "other"
]
BULK_RANK = 2


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    note: Text = ""


class Acknowledge(Body):
    kind: Literal["acknowledge"]
    tenant: Place
    episode: EpisodeId


class Judge(Body):
    """`force`: also where the data still show a high rank."""

    kind: Literal["confirm", "reject", "close"]
    tenant: Place
    episode: EpisodeId
    basis: Basis
    force: bool = False


class Suspend(Body):
    """`for_s`: it ends by itself."""

    kind: Literal["mute", "maintenance"]
    tenant: Place
    station: Place
    for_s: Annotated[float, Field(ge=60, le=30 * 86_400)]
    force: bool = False


class End(Body):
    kind: Literal["unmute", "maintenance_end", "drill_end"]
    tenant: Place
    station: Place


class Drill(Body):
    kind: Literal["drill"]
    tenant: Place
    station: Place
    rank: Annotated[int, Field(ge=1, le=5)]
    for_s: Annotated[float, Field(ge=60, le=12 * 3600)] = 3600.0


class Write(Body):
    """An entry of the journal."""

    kind: Literal["write"]
    what: Written
    text: Annotated[str, Field(min_length=1, max_length=4000)]
    tenant: Place | None = None
    station: Annotated[str, Field(pattern=r"^$|" + NAME)] = ""
    episode: EpisodeId = ""
    at_ms: Annotated[int, Field(ge=0, le=253_402_300_799_999)] | None = None
    corrects: Annotated[int, Field(ge=1, le=2**62)] | None = None


Act = Annotated[Acknowledge | Judge | Suspend | End | Drill | Write, Field(discriminator="kind")]
KINDS = {
    "acknowledge": "alert.acknowledge",
    "confirm": "alert.confirm",
    "reject": "alert.reject",
    "close": "alert.close",
    "mute": "alert.mute",
    "unmute": "alert.unmute",
    "maintenance": "maintenance.begin",
    "maintenance_end": "maintenance.end",
    "drill": "drill.begin",
    "drill_end": "drill.end",
    "write": "journal.add",
}


class Many(BaseModel):
    """Acknowledge at once what is of rank 2 or less, or a silence."""

    model_config = ConfigDict(extra="forbid", strict=True)
    tenant: Place
    episodes: Annotated[list[EpisodeId], Field(min_length=1, max_length=200)]
    note: Text = ""


routes = APIRouter(prefix="/api/v1", responses=PROBLEMS | documented(409))


@routes.post("/acts", tags=["alerts"])
def act(site: Here, body: Act, who: Operator, address: Address) -> Response:
    """Acknowledge, confirm, reject, close, mute, put under maintenance, drill, write into the journal. The answer
    is the bridge's; `asked` where it has not answered within five seconds: it stays asked. 409 where the bridge
    refuses: `refusal` has the code and the facts, `detail` the same in the words of the command line."""
    return json(do(site, who, body, address))


@routes.post("/acts/acknowledge", tags=["alerts"])
def acknowledge(site: Here, body: Many, who: Operator, address: Address) -> Response:
    """Several at once: only ranks up to 2, and silences. Each has a fate of its own: done, refused with its reason, or
    `asked` where the bridge has not answered it within five seconds. 200 where all are done, else 207."""
    _mine(who, body.tenant)
    grave = _grave(site, body.tenant)
    named = list(dict.fromkeys(body.episodes))
    said = {"tenant": body.tenant} | ({"note": body.note} if body.note else {})
    wanted = [(KINDS["acknowledge"], said | {"episode": e}) for e in named if e not in grave]
    fates = iter(asked_together(site, who, wanted, address) if wanted else [])
    seen = [(KINDS["acknowledge"], f"{body.tenant} {e}", "refused") for e in named if e in grave]
    site.accounts.note_all(who, address, seen)
    found = [
        {"episode": e, "request": None, "state": "refused", "answer": GRAVE}
        if e in grave
        else {"episode": e} | next(fates)
        for e in named
    ]
    return json({"acts": found}, status=200 if all(x["state"] == "done" for x in found) else 207)


GRAVE = {
    "reason": f"above rank {BULK_RANK} each is seen by itself",
    "code": ActCode.GRAVE.value,
    "facts": {"rank": BULK_RANK},
}


def _grave(site: Site, tenant: str) -> set[str]:
    """Episodes that nobody may acknowledge among others, by what is known now."""
    board = site.boards.board()
    found = set()
    for e in board.episodes:
        states = [s for (t, name, _), s in board.states.items() if (t, name) == (e.tenant, e.station)]
        claim = max((max(s.rank, s.unconfirmed) for s in states), default=0)
        if e.tenant == tenant and max(claim, e.max_rank if claim else 0) > BULK_RANK:
            found.add(e.id)
    return found


@routes.get("/acts/{request}", tags=["alerts"])
def fate(site: Here, request: Annotated[int, Path(ge=1, le=2**62)], who: Staff) -> Response:
    """What became of an act that was still `asked`: by the number that it was given."""
    sql = "SELECT kind, body, asked_by FROM requests WHERE id = ?"
    found = storefile.rows(site.bridge.store, sql, (request,))
    kind, body, by = found[0] if found else ("", "{}", "")
    tenant = msgspec.json.decode(body).get("tenant")
    mine = who.sees(tenant) if tenant else who.tenants is None or by == who.name
    if kind not in {*KINDS.values(), "letters.replay"} or not mine:
        raise Problem(404, "not_found", f"there is no act {request}", foreign=bool(found))
    return json(_fate(request, *storefile.answer(site.bridge.store, request)))


@routes.get("/journal", tags=["alerts"])
def journal(
    site: Here,
    who: Staff,
    after: Annotated[int, Query(ge=0, le=2**62)] = 0,
    station: Annotated[str, Query(pattern=r"^$|" + NAME)] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    hours: Annotated[float, Query(gt=0, le=24 * 400)] = 24.0,
) -> Response:
    """The chronology, in the order in which it was recorded; what is corrected says by which row. The newest `limit`
    of them, or with `after` the first beyond that number."""
    now_ms = site.clock.now_ms()
    corrected = journalfile.corrections(site.bridge.store, now_ms)
    choice = Choice(from_ms=now_ms - round(hours * 3_600_000), station=station)
    levels, rows = site.registry.levels, []
    for row in journalfile.rows(site.bridge.store, choice):
        if row.number <= after or (row.tenant and not who.sees(row.tenant)):
            continue
        rows.append(
            {"number": row.number, "at": iso(row.at_ms), "recorded": iso(row.recorded_ms), "kind": row.kind,
             "kind_name": {"ja": journalwords.kind(row), "en": journalwords.kind(row, ja=False)},
             "tenant": row.tenant, "station": row.station, "episode": row.episode, "by": row.by,
             "what": row.facts.get("what"),
             "text": {"ja": journalwords.sentence(row, levels), "en": journalwords.sentence(row, levels, ja=False)},
             "corrected_by": corrected.get(row.number)}
        )  # fmt: skip
    return json({"rows": rows[:limit] if after else rows[-limit:]})


def _mine(who: Who, tenant: str | None) -> None:
    """Raises Problem 404 for another tenant: whoever may not see it does not learn of it."""
    if (tenant is None and who.tenants is not None) or (tenant is not None and not who.sees(tenant)):
        raise Problem(404, "not_found", "there is no such tenant", foreign=True)


def do(site: Site, who: Who, body: Any, address: str) -> dict[str, Any]:
    """The request and the bridge's answer. Raises Problem 409 where it refused."""
    _mine(who, body.tenant)
    said = body.model_dump(exclude={"kind", "what"}, exclude_none=True)
    if body.kind == "write":
        said["kind"] = body.what
    if not said.get("note"):
        said.pop("note", None)
    return asked(site, who, KINDS[body.kind], said, address)


def asked(site: Site, who: Who, kind: str, body: dict[str, Any], address: str) -> dict[str, Any]:
    """One, as `asked_together`. Raises Problem 409 where the bridge refused it."""
    (found,) = asked_together(site, who, [(kind, body)], address)
    if found["state"] == "refused":
        answer = found["answer"]
        why = {"code": answer["code"], "facts": answer.get("facts") or {}} if "code" in answer else None
        raise Problem(409, "refused", answer["reason"], refusal=why)
    return found


def asked_together(
    site: Site, who: Who, wanted: list[tuple[str, dict[str, Any]]], address: str
) -> list[dict[str, Any]]:
    """Ask the bridge for all of it at once, and wait a little for what it says of each; each is in the audit. Raises
    Problem 503 without a bridge, Unavailable where nothing could be asked."""
    store = site.bridge.store
    if storefile.running(store) is False:
        raise Problem(503, "no_bridge", "no bridge runs: nothing was done. Start it, then do it again")
    texts = [(kind, msgspec.json.encode(body).decode()) for kind, body in wanted]
    numbers = storefile.ask_together(store, texts, who.name, site.clock.now_ms())
    said = _awaited(site, numbers)
    rows = []
    for (kind, body), number, (state, _) in zip(wanted, numbers, said, strict=True):
        subject = body.get("episode") or body.get("station") or ""
        rows.append((kind, f"{body.get('tenant') or ''} {subject} request {number}".strip(), state))
    site.accounts.note_all(who, address, rows)
    return [_fate(number, *x) for number, x in zip(numbers, said, strict=True)]


def _awaited(site: Site, numbers: list[int]) -> list[tuple[str, str | None]]:
    """What the bridge says of each within five seconds; at once where enough others wait."""
    said: list[tuple[str, str | None]] = [("asked", None)] * len(numbers)
    if not site.waits.acquire(blocking=False):
        return said
    until = time.monotonic() + WAIT_S
    try:
        while True:
            with contextlib.suppress(Unavailable):  # it is asked: that the store cannot be read now changes nothing
                said = storefile.answers(site.bridge.store, numbers)
            if all(state != "asked" for state, _ in said) or time.monotonic() > until:
                return said
            time.sleep(LOOK_S)
    finally:
        site.waits.release()


def _fate(request: int, state: str, answer: str | None) -> dict[str, Any]:
    found = msgspec.json.decode(answer) if answer and state != "asked" else {}
    if state == "refused":
        found.setdefault("reason", "the bridge refused it")
    return {"request": request, "state": state, "answer": found}

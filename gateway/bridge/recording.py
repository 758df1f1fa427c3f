"""What people enter by hand, as requests: rows of the journal, and CAP messages that one releases with an order of the
mayor. Nothing is edited: a correction is a row that refers to another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from gateway.bridge import capping, wording
from gateway.bridge.act import Act, Refused, Said
from gateway.errors import ActCode
from gateway.journal import Entry, Kind, Manual, Row

MAX_TEXT = 4000  # characters
MINUTE_MS = 60_000

Response = Literal["Evacuate", "Shelter", "Execute", "AllClear"]
Done = dict[str, object]


@dataclass(frozen=True, slots=True)
class Journal:
    """The journal as far as an entry needs it: one row by its number, and the number of the last."""

    row: Callable[[int], Row | None]
    last: Callable[[], int]


class Add(Said):
    """`at_ms`: when it happened, where that is not now. `corrects`: the row that this corrects."""

    kind: Manual
    text: str
    at_ms: int | None = None
    station: str = ""
    episode: str = ""
    corrects: int | None = None


class Release(Said):
    """`order`: the row in which the mayor's order is recorded. `text`: what is to be done, for the headline."""

    episode: str
    response: Response
    order: int
    text: str


def add(act: Act, known: Journal) -> Done:
    """A manual entry: what happened when, in the words of whoever was there."""
    said: Add = act.said(Add)
    text = _text(said.text)
    at_ms = act.now_ms if said.at_ms is None else said.at_ms
    if at_ms > act.now_ms + MINUTE_MS:
        now, said_at = wording.time_en(act.now_ms), wording.time_en(at_ms)
        why = f"{said_at} lies in the future, it is {now} now. An entry says what has happened"
        raise Refused(ActCode.FUTURE_ENTRY, why, at=at_ms, now=act.now_ms)
    corrected = _row(known, said.corrects) if said.corrects is not None else None
    tenant, station, episode = _where(act, said, corrected)
    body: dict[str, object] = {"what": said.kind.value, "text": text}
    if corrected is not None:
        body["corrects"] = corrected.number
    kind = Kind.BULLETIN if said.kind is Manual.BULLETIN else Kind.MANUAL
    act.work.entries.append(Entry(at_ms, kind, tenant, station, episode, act.by, body))
    return {"number": known.last() + 1, "at_ms": at_ms, "recorded_ms": act.now_ms, "station": station, "by": act.by}


def _where(act: Act, said: Add, corrected: Row | None) -> tuple[str, str, str]:
    """Tenant, station and episode: as named, else those of the row that is corrected, else the desk's own."""
    if said.episode:
        e = act.episode(said.episode, said.tenant) or act.past(said.episode)
        if said.station and e.station != act.station(said.station, said.tenant).id:
            why = f"episode {e.id} is not of station '{said.station}'"
            raise Refused(ActCode.OTHER_STATION, why, station=said.station, other=e.station)
        return e.tenant, e.station, e.id
    if said.station:
        station = act.station(said.station, said.tenant)
        return station.tenant, station.id, ""
    if corrected is not None:
        return corrected.tenant, corrected.station, corrected.episode
    return said.tenant or "", "", ""


def _row(known: Journal, number: int) -> Row:
    found = known.row(number)
    if found is None:
        last = known.last()
        raise Refused(ActCode.NO_ROW, f"the journal has no row {number}; its last is {last}", row=number, last=last)
    return found


def _text(said: str) -> str:
    text = said.replace("\r\n", "\n").replace("\t", " ").strip()  # pasted from a table
    if not text:
        raise Refused(ActCode.NO_TEXT, "an entry without a text says nothing")
    if len(text) > MAX_TEXT:
        why = f"the text has {len(text)} characters, above {MAX_TEXT}. Make two entries of it"
        raise Refused(ActCode.LONG_TEXT, why, n=len(text), most=MAX_TEXT)
    # The ideographic space is what the space bar gives in Japanese; Python does not call it printable.
    if not all(c.isprintable() or c in "\n\u3000" for c in text):
        raise Refused(ActCode.CONTROL_CHARACTERS, "the text holds control characters")
    return text


def release(act: Act, known: Journal) -> Done:
    """A CAP message that asks people to leave, to shelter or to act, or ends one: by a named person, with the order of
    the mayor that it cites."""
    said: Release = act.said(Release)
    to = act.work.rules.bridge.cap
    if to is None:
        why = "bridge.yaml has no 'cap': there is nothing that a message could be released to"
        raise Refused(ActCode.NO_CAP, why)
    if not said.by.strip():
        raise Refused(ActCode.NOT_NAMED, "a released message names the person who releases it: --by")
    row = _row(known, said.order)
    if row.kind != Kind.MANUAL or row.facts.get("what") != Manual.ORDER:
        why = f"row {row.number} of the journal records no order of the mayor. Enter it: --kind order"
        raise Refused(ActCode.NO_ORDER, why, row=row.number)
    e = act.episode(said.episode, said.tenant)
    if e is None and said.response == "AllClear":
        e = act.past(said.episode)
    if e is None:
        why = f"there is no open episode '{said.episode}'. 'suimon alert list' shows those there are"
        raise Refused(ActCode.NO_EPISODE, why, episode=said.episode)
    if e.kind == "drill" and said.episode != e.id:
        # A real order must never go out as an exercise because the real episode was closed.
        why = f"nothing real is open at '{e.station}', only a drill. To release an exercise name it: {e.id}"
        raise Refused(ActCode.ONLY_DRILL, why, station=e.station, episode=e.id)
    station = act.station_of(e)
    if station is None:
        raise Refused(ActCode.OF_NO_STATION, f"{e.id} is of no station", episode=e.id)
    if row.station not in ("", e.station):
        why = f"the order in row {row.number} is about station '{row.station}', not '{e.station}'"
        raise Refused(ActCode.ORDER_ELSEWHERE, why, row=row.number, station=e.station, other=row.station)
    text = _text(said.text).replace("\n", " ")
    order = capping.Order(row.number, row.at_ms, str(row.facts.get("text", "")))
    try:
        due = capping.release(act.work, to, e, station, said.response, order, act.by, text)
    except ValueError as e_over:
        raise Refused(ActCode.NOTHING_RELEASED, str(e_over), station=e.station) from e_over
    act.work.cap.released.append(due)
    name = due.message.identifier
    body = {"response": said.response, "order": row.number, "text": text, "identifier": name}
    act.work.entries.append(Entry(act.now_ms, Kind.RELEASE, e.tenant, e.station, e.id, act.by, body))
    return {"identifier": name, "episode": e.id, "station": e.station, "number": known.last() + 1}


KINDS: dict[str, Callable[[Act, Journal], Done]] = {"journal.add": add, "cap.release": release}

"""CAP 1.2: what a transition of an episode says to other systems, and the document that says it. Pure.

Source: OASIS, Common Alerting Protocol Version 1.2 (2010-07-01). The order of elements is strict; times are written
`YYYY-MM-DDThh:mm:ss+09:00`, without a fraction and never with `Z`; a polygon is a list of `lat,lon` that ends where it
begins. A change is a new message: Update and Cancel name all earlier ones of their chain.

We measure: Evacuate, Shelter and Execute stand only in a message that a named person releases and that cites an order
of the mayor; `render` refuses every other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Literal
from xml.sax.saxutils import escape

NAMESPACE = "urn:oasis:names:tc:emergency:cap:1.2"
JST = timezone(timedelta(hours=9))
DRILL = "【訓練】"
LEAST_RANK = 2
REFERENCES = 100  # earlier messages that one names, the newest ones: years of a flapping gauge stay a document
BY_ORDER = ("Evacuate", "Shelter", "Execute")  # only by a person, citing the mayor's order
NOTE_DRILL = "訓練です。実際の情報ではありません。 / This is an exercise."
NOTE_TEST = "シミュレーションです。実際の情報ではありません。 / This is a simulation."
NOTE_ERROR = "誤報のため取り消します。 / Issued in error."

Status = Literal["Actual", "Exercise", "Test"]
MsgType = Literal["Alert", "Update", "Cancel"]

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, Char
_REFERABLE = re.compile(r"[^\s,<&]+")  # what an identifier and a sender may consist of


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a state of the water means to whoever acts, in CAP's words."""

    urgency: str
    severity: str
    certainty: str
    response: str


_RANKS = {
    2: ("Future", "Minor", "Monitor"),
    3: ("Expected", "Moderate", "Prepare"),
    4: ("Immediate", "Severe", "Prepare"),
    5: ("Immediate", "Extreme", "Assess"),
}
STILL_WATCHED = Meaning("Future", "Minor", "Observed", "Monitor")  # below rank 2, and the episode goes on
OVER = Meaning("Past", "Minor", "Observed", "AllClear")
WITHDRAWN = Meaning("Past", "Unknown", "Unlikely", "None")
UNWATCHED = Meaning("Unknown", "Unknown", "Unknown", "Monitor")  # nobody measures there any more: no all-clear


def meaning(rank: int, confirmed: bool) -> Meaning:
    """Of a rank that a station shows or, unconfirmed, claims."""
    if rank < LEAST_RANK:
        return STILL_WATCHED
    urgency, severity, response = _RANKS[rank]
    return Meaning(urgency, severity, "Observed" if confirmed else "Likely", response)


def past(rank: int, confirmed: bool) -> Meaning:
    """Of a rank that was exceeded while data were missing, and is no longer."""
    return Meaning("Past", meaning(rank, True).severity, "Observed" if confirmed else "Likely", "Assess")


@dataclass(frozen=True, slots=True)
class Reference:
    """An earlier message of the same chain."""

    sender: str
    identifier: str
    sent_ms: int


@dataclass(frozen=True, slots=True)
class Text:
    """What people read, in one language."""

    language: str
    event: str
    headline: str
    description: str
    sender_name: str
    area: str
    instruction: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One message, but for what it refers to. `circle` is (latitude, longitude, kilometres); `polygon`, where it is
    given, stands instead. `released_by` and `order`: who released it, and the mayor's order that it cites."""

    identifier: str
    sender: str
    sent_ms: int
    status: Status
    msg_type: MsgType
    meaning: Meaning
    texts: tuple[Text, ...]
    circle: tuple[float, float, float]
    expires_ms: int
    scope: Literal["Restricted", "Public"] = "Restricted"
    restriction: str = ""
    note: str = ""
    incident: str = ""
    onset_ms: int | None = None
    polygon: tuple[tuple[float, float], ...] = ()
    parameters: tuple[tuple[str, str], ...] = ()
    contact: str = ""
    web: str = ""
    rank: int = 0
    released_by: str = ""
    order: str = ""

    @property
    def reference(self) -> Reference:
        return Reference(self.sender, self.identifier, self.sent_ms)

    @property
    def headline(self) -> str:
        return self.texts[0].headline


def identifier(key: str) -> str:
    """A message's name, made of the key of what it tells, so that a repeat is the same message."""
    return f"suimon.{key.replace('/', '.')}"


def time(at_ms: int) -> str:
    """2026-11-22T03:12:00+09:00"""
    return datetime.fromtimestamp(at_ms // 1000, JST).isoformat()


def referable(word: str) -> bool:
    """Whether a sender or identifier can stand in a list of references."""
    return _REFERABLE.fullmatch(word) is not None


def marked(text: str, drill: bool) -> str:
    """A drill cannot be mistaken: it says so at both ends."""
    if not drill:
        return text
    begun = text if text.startswith(DRILL) else f"{DRILL}{text}"
    return begun if begun.endswith(DRILL) else f"{begun}{DRILL}"


def render(message: Message, chain: tuple[Reference, ...] = ()) -> str:
    """The document; the same message and chain give the same bytes. `chain` are the earlier messages, oldest first.

    Raises ValueError for what may not be sent: an order to the public without the mayor's, an Update of nothing, a name
    that cannot be referred to.
    """
    m = message
    if m.meaning.response in BY_ORDER and not (m.released_by and m.order):
        raise ValueError(f"{m.meaning.response} needs a person who releases it and an order of the mayor")
    if (m.msg_type == "Alert") == bool(chain):
        raise ValueError(f"{m.msg_type} with {len(chain)} earlier messages")
    if not (referable(m.sender) and referable(m.identifier)):
        raise ValueError(f"'{m.sender}' or '{m.identifier}' holds a space, a comma, '<' or '&'")
    references = " ".join(f"{x.sender},{x.identifier},{time(x.sent_ms)}" for x in chain[-REFERENCES:])
    head = [
        ("identifier", m.identifier),
        ("sender", m.sender),
        ("sent", time(m.sent_ms)),
        ("status", m.status),
        ("msgType", m.msg_type),
        ("scope", m.scope),
        ("restriction", m.restriction if m.scope == "Restricted" else ""),
        ("note", m.note),
        ("references", references),
        ("incidents", m.incident),
    ]
    body = "".join(_info(m, text) for text in m.texts)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<alert xmlns="{NAMESPACE}">\n{_elements(head, 1)}{body}</alert>\n'


def _info(m: Message, text: Text) -> str:
    drill = m.status == "Exercise"
    parameters = "".join(_pair("parameter", *x) for x in m.parameters if x[1])  # without a value it were not valid
    said = [
        ("language", text.language),
        ("category", "Met"),
        ("event", marked(text.event, drill)),
        ("responseType", m.meaning.response),
        ("urgency", m.meaning.urgency),
        ("severity", m.meaning.severity),
        ("certainty", m.meaning.certainty),
        ("effective", time(m.sent_ms)),
        ("onset", "" if m.onset_ms is None else time(m.onset_ms)),
        ("expires", time(m.expires_ms)),
        ("senderName", text.sender_name),
        ("headline", marked(text.headline, drill)),
        ("description", marked(text.description, drill)),
        ("instruction", marked(text.instruction, drill) if text.instruction else ""),
        ("web", m.web),
        ("contact", m.contact),
    ]
    return f"  <info>\n{_elements(said, 2)}{parameters}{_area(m, text)}  </info>\n"


def _pair(name: str, key: str, value: str) -> str:
    return f"    <{name}>\n{_elements([('valueName', key), ('value', value)], 3)}    </{name}>\n"


def _area(m: Message, text: Text) -> str:
    shape = ("circle", f"{m.circle[0]:.5f},{m.circle[1]:.5f} {m.circle[2]:g}")
    if m.polygon:
        ring = m.polygon if m.polygon[0] == m.polygon[-1] else (*m.polygon, m.polygon[0])
        shape = ("polygon", " ".join(f"{latitude:.5f},{longitude:.5f}" for latitude, longitude in ring))
    return f"    <area>\n{_elements([('areaDesc', text.area), shape], 3)}    </area>\n"


def _elements(pairs: list[tuple[str, str]], depth: int) -> str:
    """Elements that hold text; an empty one is left out."""
    return "".join(
        f"{'  ' * depth}<{name}>{escape(_FORBIDDEN.sub('', value))}</{name}>\n" for name, value in pairs if value
    )


def plain(message: Message) -> str:
    """The Japanese text, to be copied by a person into another system (L-Alert): we are no sender to it."""
    text, drill = message.texts[0], message.status == "Exercise"
    said = [text.headline, text.description, text.instruction]
    body = "\n".join(x for x in said if x)
    at = datetime.fromtimestamp(message.sent_ms // 1000, JST)
    return marked(f"{body}\n{text.sender_name}  {at.year}年{at.month}月{at.day}日 {at:%H:%M}", drill)

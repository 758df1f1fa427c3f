"""Notifications: what is owed to whom, as rows of the outbox, and what became of them. Pure; `delivery` delivers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from gateway import settings
from gateway.bridge import wording
from gateway.bridge.facts import Facts
from gateway.calling import Call
from gateway.channelstate import ChannelState
from gateway.episodes import Course, Suspension
from gateway.model import Change, Transition
from gateway.stations import Channel, LevelTable, Station
from gateway.templates import LANGUAGES, Language, Template

ALERT_TOPIC = "_alerts"  # the recipient that is the retained MQTT topic


@dataclass(frozen=True, slots=True)
class Owed:
    """A row of the outbox. `dialled`: of a phone, which cannot be told quietly: without a ring nothing is owed to it,
    so that no journal says of a call that was never made that it was sent."""

    key: str
    medium: str
    recipient: str
    body: str
    owed_ms: int
    rings: bool = False
    dialled: bool = False

    @property
    def stands(self) -> bool:
        return self.rings or not self.dialled


def media_of(bridge: settings.Bridge) -> dict[str, str]:
    """The name of its medium by recipient; the retained topic is one too."""
    found = {r.name: r.via or r.medium for r in bridge.recipients}
    return found | ({ALERT_TOPIC: "mqtt"} if bridge.alert_topic else {})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an outbox row: `sent`, `given_up` with the reason, or `retry`: it was not taken, with the reason,
    and is tried again at `next_ms`. `again`: how often it was handed over before a kill, and not
    recorded: so many deliveries are repeats, under the same key."""

    outbox_id: int
    state: Literal["sent", "given_up", "retry"]
    attempts: int
    reason: str | None = None
    key: str = ""
    next_ms: int | None = None
    recipient: str = ""
    again: int = 0
    medium: str = ""


def owed(
    t: Transition,
    station: Station,
    channel: Channel,
    state: ChannelState,
    levels: LevelTable,
    bridge: settings.Bridge,
    now_ms: int,
    calls: Sequence[Call],
    topic: bool = True,
    course: Course | None = None,
) -> list[Owed]:
    """What these calls owe, and with `topic` what the station's alert topic is owed. Keyed (episode, transition,
    recipient), a repeated call also by what makes it another. A recipient who is configured no longer is owed nothing.
    `course` is that of the episode. What only staff may read is not on the topic.
    """
    age_ms = now_ms - t.at_ms
    # A beacon is told by what did not come: that has no age.
    late = t.change is Change.RISE and t.value is not None and age_ms > channel.contract.late_after_s * 1000
    f = Facts(t, station, channel, state, levels, age_ms if late else None, course or Course(), now_ms)
    body = _body(f, channel)
    out = addressed(body, calls, bridge, now_ms, lambda to: wording.both(f, _templates(bridge, to)))
    if topic and bridge.alert_topic:
        # The world reads the topic: it names nobody of the staff.
        public = wording.both(replace(f, now_ms=None, course=replace(f.course, judged_by="")), {})
        text = json.dumps(body | public, ensure_ascii=False)
        out.append(Owed(f"{t.key}/{ALERT_TOPIC}", "mqtt", ALERT_TOPIC, text, now_ms))
    return out


def under_work(station: Station, x: Suspension, ended: bool, levels: LevelTable, now_ms: int) -> Owed:
    """What the alert topic of a station is owed when maintenance begins, is prolonged, or ends: nobody who reads only
    the topic takes an old rank, or calm, for the present. A station begins anew after it, so no rank stands."""
    ja, en = ("不明", "unknown") if ended else ("点検中", "maintenance")
    what = "maintenance_ended" if ended else "maintenance"
    (subject_ja, text_ja), (subject_en, text_en) = wording.under_work(station, x, now_ms if ended else None)
    body = {
        "key": f"{x.tenant}/{x.station}//{what}/{x.since_ms}-{now_ms if ended else x.until_ms}",
        "tenant": x.tenant,
        "station": x.station,
        "channel": "",
        "episode": "",
        "change": what,
        "rank": 0,
        "level": "",  # not normal: that is said of fresh data alone
        "level_table": levels.name,
        "name": {"ja": ja, "en": en},
        "held": False,
        "condition": "unknown" if ended else "maintenance",
        "confirmed": True,
        "rings": False,
        "value": None,
        "observed_ms": now_ms,
        "until_ms": None if ended else x.until_ms,
        "subject": {"ja": subject_ja, "en": subject_en},
        "text": {"ja": text_ja, "en": text_en},
    }
    return on_topic(body, now_ms)


def on_topic(body: Mapping[str, object], now_ms: int) -> Owed:
    """What the alert topic of a station is owed; `body` names its tenant, station and key."""
    return Owed(f"{body['key']}/{ALERT_TOPIC}", "mqtt", ALERT_TOPIC, json.dumps(body, ensure_ascii=False), now_ms)


def _templates(bridge: settings.Bridge, to: settings.Recipient) -> dict[Language, Template]:
    """The operator's templates for a recipient: its own, of its medium by name or kind, or for all."""
    found = {}
    for language in LANGUAGES:
        names = (to.name, to.via, to.medium, "default")
        own = (bridge.templates.get((name, language)) for name in names)
        if (template := next((x for x in own if x is not None), None)) is not None:
            found[language] = template
    return found


def addressed(
    body: Mapping[str, Any],
    calls: Sequence[Call],
    bridge: settings.Bridge,
    now_ms: int,
    texts: Callable[[settings.Recipient], Mapping[str, Mapping[str, str]]] | None = None,
) -> list[Owed]:
    """A notification for each call: whether it rings there, for how many others, and whom its medium is to reach;
    with `texts` in the recipient's own words."""
    recipients = {r.name: r for r in bridge.recipients}
    out = []
    for call in calls:
        if (to := recipients.get(call.recipient)) is not None:
            own: dict[str, object] = {"rings": call.rings, "more": call.more} | ({"to": to.to} if to.to else {})
            own |= texts(to) if texts else {}
            if call.unanswered:
                own |= _unanswered({**body, **own}, call.unanswered)
            if call.more:
                own["text"] = _with_more({**body, **own}, call)
            text = json.dumps({**body, **own}, ensure_ascii=False)
            out.append(Owed(call.key, to.via or to.medium, to.name, text, now_ms, call.rings, to.medium == "voice"))
    return out


def _unanswered(body: Mapping[str, Any], rounds: int) -> dict[str, Any]:
    """Subject and text that begin with it: nobody has acknowledged in so many rounds of the call."""
    parts = {x: wording.unanswered(body["subject"][x], body["text"][x], rounds, x) for x in LANGUAGES}
    texts = {"subject": {x: parts[x][0] for x in parts}, "text": {x: parts[x][1] for x in parts}}
    return {**texts, "unanswered": rounds}


def _with_more(body: Mapping[str, Any], call: Call) -> dict[str, str]:
    """The text, its first line saying for how many others the ring stands."""
    text: dict[str, str] = {}
    for language, words in zip(("ja", "en"), wording.also(call.more), strict=True):
        first, _, rest = body["text"][language].partition("\n")
        text[language] = f"{first}{words}\n{rest}"
    return text


def delayed(body: str, minutes: int) -> str:
    """A body that is delivered long after it was owed says so, in subject and first line, ahead of a drill's mark."""
    about = json.loads(body)
    for language, words in zip(("ja", "en"), wording.delayed(minutes), strict=True):
        mark = (wording.DRILL_JA if language == "ja" else f" {wording.DRILL_EN}") if about.get("drill") else ""
        subject = about["subject"][language].removesuffix(mark)
        first, _, rest = about["text"][language].partition("\n")
        about["subject"][language] = f"{subject}{words}{mark}"
        about["text"][language] = f"{first}{words}\n{rest}"
    return json.dumps(about, ensure_ascii=False)


def quietly(owed: Owed) -> Owed:
    """The same without a ring: something worse rings beside it."""
    return replace(owed, body=json.dumps(json.loads(owed.body) | {"rings": False}, ensure_ascii=False), rings=False)


def _body(f: Facts, channel: Channel) -> dict[str, object]:
    """What a machine reads; the texts are the recipient's."""
    t, state, level = f.t, f.state, f.level_of(f.t.to_rank, f.t.level)
    own = f.threshold
    return {
        "key": t.key,
        "cap_identifier": f"suimon.{t.key.replace('/', '.')}",
        "tenant": t.tenant,
        "station": t.station,
        "channel": t.channel,
        "episode": t.episode,
        "change": t.change,
        "from_rank": t.from_rank,
        "rank": t.to_rank,
        "confirmed_rank": state.rank,
        "level": level.key,
        "level_table": f.levels.name,
        "name": {"ja": level.ja, "en": level.en},
        "threshold": None if own is None else {"level": own.level, "value": own.value, "authority": own.authority,
                                               "basis": own.basis, "source": own.source, "version": f.version},
        "held": state.held,
        "condition": state.condition,
        "confirmed": t.confirmed,
        "rings": t.rings,
        "more": 0,
        "drill": t.drill,
        "value": t.value,
        "unit": channel.unit,
        "observed_ms": t.at_ms,
    }  # fmt: skip

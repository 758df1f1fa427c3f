"""Notifications: what is owed to whom, as rows of the outbox, and what became of them. Pure; `delivery` delivers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from gateway import settings
from gateway.bridge import wording
from gateway.calling import Call
from gateway.channelstate import ChannelState
from gateway.model import Change, Transition
from gateway.stations import Channel, LevelTable, Station

ALERT_TOPIC = "_alerts"  # the recipient that is the retained MQTT topic


@dataclass(frozen=True, slots=True)
class Owed:
    """A row of the outbox."""

    key: str
    medium: str
    recipient: str
    body: str
    owed_ms: int
    rings: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an outbox row: `sent`, `given_up` with the reason, or `retry`: it was not taken, with the reason,
    and is tried again at `next_ms`."""

    outbox_id: int
    state: Literal["sent", "given_up", "retry"]
    attempts: int
    reason: str | None = None
    key: str = ""
    next_ms: int | None = None
    recipient: str = ""


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
) -> list[Owed]:
    """What these calls owe, and with `topic` what the station's alert topic is owed. Keyed (episode, transition,
    recipient), a repeated call also by what makes it another. A recipient who is configured no longer is owed nothing.
    """
    age_ms = now_ms - t.at_ms
    late = t.change is Change.RISE and age_ms > channel.contract.late_after_s * 1000
    body = _body(t, station, channel, state, levels, age_ms if late else None)
    out = addressed(body, calls, bridge, now_ms)
    if topic and bridge.alert_topic:
        text = json.dumps(body, ensure_ascii=False)
        out.append(Owed(f"{t.key}/{ALERT_TOPIC}", "mqtt", ALERT_TOPIC, text, now_ms))
    return out


def addressed(body: Mapping[str, Any], calls: Sequence[Call], bridge: settings.Bridge, now_ms: int) -> list[Owed]:
    """A notification for each call: whether it rings there, for how many others, and whom its medium is to reach."""
    recipients = {r.name: r for r in bridge.recipients}
    out = []
    for call in calls:
        if (to := recipients.get(call.recipient)) is not None:
            own: dict[str, object] = {"rings": call.rings, "more": call.more} | ({"to": to.to} if to.to else {})
            if call.more:
                own["text"] = _with_more(body, call)
            text = json.dumps({**body, **own}, ensure_ascii=False)
            out.append(Owed(call.key, to.via or to.medium, to.name, text, now_ms, call.rings))
    return out


def _with_more(body: Mapping[str, Any], call: Call) -> dict[str, str]:
    """The text, its first line saying for how many others the ring stands."""
    text: dict[str, str] = {}
    for language, words in zip(("ja", "en"), wording.also(call.more), strict=True):
        first, _, rest = body["text"][language].partition("\n")
        text[language] = f"{first}{words}\n{rest}"
    return text


def quietly(owed: Owed) -> Owed:
    """The same without a ring: something worse rings beside it."""
    return replace(owed, body=json.dumps(json.loads(owed.body) | {"rings": False}, ensure_ascii=False), rings=False)


def _body(
    t: Transition,
    station: Station,
    channel: Channel,
    state: ChannelState,
    levels: LevelTable,
    late_ms: int | None,
) -> dict[str, object]:
    level = levels.by_rank(t.to_rank)
    subject_ja, text_ja = wording.japanese(t, station, state, channel.unit, levels, late_ms)
    subject_en, text_en = wording.english(t, station, state, channel.unit, levels, late_ms)
    if t.drill:
        subject_ja, text_ja = wording.as_drill(subject_ja, text_ja, wording.DRILL_JA)
        subject_en, text_en = wording.as_drill(subject_en, text_en, wording.DRILL_EN)
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
        "level_table": levels.name,
        "name": {"ja": level.ja, "en": level.en},
        "held": state.held,
        "condition": state.condition,
        "confirmed": t.confirmed,
        "rings": t.rings,
        "more": 0,
        "drill": t.drill,
        "value": t.value,
        "unit": channel.unit,
        "observed_ms": t.at_ms,
        "subject": {"ja": subject_ja, "en": subject_en},
        "text": {"ja": text_ja, "en": text_en},
    }

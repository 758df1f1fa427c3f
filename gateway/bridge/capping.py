"""Which CAP messages a batch owes: one for each transition of an episode that has come to rank 2 or claims it, one when
such an episode ends, and one that renews what would expire while it lasts. What a person releases with an order of the
mayor is a chain of its own, so that the next measurement cannot seem to take the order back.

A message speaks of the station: its severity is that of the worst of its channels, not of the one that changed last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from gateway import cap, settings
from gateway.bridge import wording
from gateway.cap import Meaning, Message, Text
from gateway.channelstate import ChannelState
from gateway.episodes import Episode
from gateway.model import Change, Observation, Transition
from gateway.stations import Channel, Registry, Station, Threshold, threshold_version

VALID_MS = 24 * 3_600_000
RENEWED_MS = 3_600_000  # before it expires

Chain = tuple[str, str]  # tenant, and the episode or the order released in it

_EVENTS = {
    "river": ("水位情報", "Water level information"),
    "tide": ("潮位情報", "Tide level information"),
    "underpass": ("道路冠水情報", "Flooded road information"),
    "inundation": ("浸水情報", "Inundation information"),
    "rain": ("雨量情報", "Rainfall information"),
}


@dataclass(frozen=True, slots=True)
class Due:
    """A message that a batch owes. `ends`: nothing follows in its chain. An Alert becomes an Update where it is written
    and its chain has begun."""

    chain: Chain
    station: str
    episode: str
    message: Message
    ends: bool = False


@dataclass(frozen=True, slots=True)
class Open:
    """A chain that has not ended: until when its newest message holds, of which episode it is, and whether a person
    began it."""

    expires_ms: int
    episode: str
    ordered: bool = False


@dataclass(slots=True)
class Capped:
    """Of one batch: messages that people release, chains to be renewed, and what became of chains as they were
    written; None: ended."""

    released: list[Due] = field(default_factory=list)
    renewals: list[Chain] = field(default_factory=list)
    chains: dict[Chain, Open | None] = field(default_factory=dict)

    def swap_into(self, committed: dict[Chain, Open]) -> None:
        for chain, last in self.chains.items():
            if last is not None:
                committed[chain] = last
            else:
                committed.pop(chain, None)


class Rules(Protocol):
    @property
    def registry(self) -> Registry: ...
    @property
    def bridge(self) -> settings.Bridge: ...
    @property
    def now_ms(self) -> int: ...


class Memory(Protocol):
    @property
    def episodes(self) -> Mapping[tuple[str, str], Episode]: ...
    @property
    def chains(self) -> Mapping[Chain, Open]: ...


class Batch(Protocol):
    """What is needed of the `Work` that is looked at."""

    transitions: list[Transition]
    episodes: dict[tuple[str, str], Episode]
    observations: list[Observation]
    cap: Capped

    @property
    def memory(self) -> Memory: ...
    @property
    def rules(self) -> Rules: ...
    def state(self, series: tuple[str, str, str]) -> ChannelState: ...


def due(work: Batch, to: settings.Cap) -> Iterator[Due]:
    """What the batch owes, in order."""
    known: dict[Chain, bool] = dict.fromkeys(work.memory.chains, True)
    for t in work.transitions:
        chain, station = (t.tenant, t.episode), work.rules.registry.station(t.tenant, t.station)
        if station is None or t.of_step:
            continue
        found = _of_transition(work, to, t, station, known.get(chain, False))
        if found is not None:
            known[chain] = not found.ends
            yield found
    for e in work.episodes.values():
        station = work.rules.registry.station(e.tenant, e.station)
        if e.closed_ms is not None and known.get((e.tenant, e.id)) and station is not None:
            yield _end(work, to, e, station)
    yield from work.cap.released


# --- one transition ----------------------------------------------------------------------------------------------


def _of_transition(work: Batch, to: settings.Cap, t: Transition, station: Station, begun: bool) -> Due | None:
    rank, confirmed = shown(work, t, station)
    exceeded = t.to_rank if t.change is Change.PAST else 0
    if not begun and (max(rank, exceeded) < cap.LEAST_RANK or t.change in (Change.REJECTED, Change.CLOSED)):
        return None
    what, note, ends = cap.meaning(rank, confirmed), "", False
    if t.change is Change.REJECTED:
        what, note, ends = cap.WITHDRAWN, cap.NOTE_ERROR, True
    elif t.change is Change.CLOSED:
        # Whoever closes while the water stands at rank 3 or more ends our messages, and says nothing of the danger.
        what, ends = (cap.OVER if t.drill or t.from_rank <= cap.LEAST_RANK else cap.STILL_WATCHED), True
    elif exceeded > rank:
        what = cap.past(exceeded, t.confirmed)
    channel = station.about(t.channel, t.level)
    state = ChannelState() if channel is None or t.drill else work.state((t.tenant, t.station, channel.name))
    base = message(work, to, t.key, station, _texts(work, to, t, station, channel, state))
    found = replace(
        base,
        status="Exercise" if t.drill else base.status,
        msg_type="Cancel" if t.change is Change.REJECTED else "Alert",
        meaning=what,
        note=" ".join(x for x in (cap.NOTE_DRILL if t.drill else base.note, note) if x),
        incident=t.episode,
        onset_ms=min(t.at_ms, work.rules.now_ms),
        parameters=parameters(work, t, station, channel, state, rank),
        rank=rank,
    )
    return Due((t.tenant, t.episode), t.station, t.episode, found, ends)


def shown(work: Batch, t: Transition, station: Station) -> tuple[int, bool]:
    """The rank that a station shows after a transition, or claims where that is higher; whether it is confirmed."""
    if t.drill or t.change in (Change.REJECTED, Change.CLOSED):
        return (t.to_rank, True) if t.drill else (0, True)
    certain, claimed = 0, 0
    for channel in station.watched:
        state = work.state((t.tenant, t.station, channel.name))
        rank, claim = state.rank, state.unconfirmed
        if channel.name == t.channel and t.change is not Change.PAST:
            rank, claim = (t.to_rank, 0) if t.confirmed or t.change is Change.FALL else (rank, t.to_rank)
        certain, claimed = max(certain, rank), max(claimed, claim)
    return max(certain, claimed), certain >= claimed


def message(work: Batch, to: settings.Cap, key: str, station: Station, texts: tuple[Text, ...]) -> Message:
    """What all messages of a station have in common."""
    bridge, now = work.rules.bridge, work.rules.now_ms
    return Message(
        cap.identifier(key),
        to.sender,
        now - now % 1000,
        "Test" if bridge.simulation else "Actual",
        "Alert",
        cap.OVER,
        texts,
        (station.latitude, station.longitude, to.radius_km),
        now - now % 1000 + VALID_MS,
        to.scope,
        to.restriction,
        cap.NOTE_TEST if bridge.simulation else "",
        polygon=to.areas.get(station.area, ()),
        contact=to.contact,
        web=to.url,
    )


def _texts(
    work: Batch, to: settings.Cap, t: Transition, station: Station, channel: Channel | None, state: ChannelState
) -> tuple[Text, ...]:
    levels = work.rules.registry.levels
    ja = wording.japanese(t, station, state, levels)
    en = wording.english(t, station, state, levels)
    return texts(to, station, ja, en)


def texts(
    to: settings.Cap, station: Station, ja: tuple[str, str], en: tuple[str, str], orders: tuple[str, str] = ("", "")
) -> tuple[Text, ...]:
    """(headline, description) in both languages, Japanese first."""
    event = _EVENTS[station.hazard]
    return (
        Text("ja-JP", event[0], *ja, to.sender_ja, f"{station.name_ja}周辺", orders[0]),
        Text("en", event[1], *en, to.sender_en, f"around {station.name_en}", orders[1]),
    )


def parameters(
    work: Batch, t: Transition, station: Station, channel: Channel | None, state: ChannelState, rank: int
) -> tuple[tuple[str, str], ...]:
    """The facts behind the text, for machines."""
    levels, at = work.rules.registry.levels, t.at_ms
    said: list[tuple[str, str]] = [("rank", str(rank)), ("level_table", levels.name), ("datum", station.datum)]
    if channel is None:
        return tuple(said)
    if t.value is not None:
        said += [("value", _number(t.value, channel)), ("unit", channel.unit)]
    mark = _mark(channel, t, at)
    if mark is not None:
        said += [("level", mark.level), ("threshold", _number(mark.value, channel)), ("authority", mark.authority)]
        said += [("basis", mark.basis), ("source", mark.source)]
    if version := threshold_version(channel, at):
        said.append(("threshold_version", version))
    if not t.drill:
        series = (t.tenant, t.station, channel.name, at)
        seen = (o.for_alarm for o in work.observations if (o.tenant, o.station, o.channel, o.observed_ms) == series)
        said += [("flag", str(int(next(seen, state.flag)))), ("condition", "held" if state.held else state.condition)]
    return tuple(said)


def _number(value: float, channel: Channel) -> str:
    return f"{value:.2f}" if channel.unit == "m" else f"{value:g}"


def _mark(channel: Channel, t: Transition, at_ms: int) -> Threshold | None:
    """The threshold that a transition is about."""
    marks = channel.in_force(at_ms)
    crossed = t.from_rank if t.change in (Change.FALL, Change.REJECTED, Change.CLOSED) else t.to_rank
    named = [x for x in marks if x.level == t.level and t.level] or [x for x in marks if x.rank == crossed]
    return named[0] if named else None


# --- what no transition says ---------------------------------------------------------------------------------------


def _end(work: Batch, to: settings.Cap, e: Episode, station: Station) -> Due:
    """An episode that ended without a person's word."""
    drill, at = e.kind == "drill", e.closed_ms or work.rules.now_ms
    ja = f"【{wording.SENDER_JA}】{station.name_ja} {'訓練を終了しました' if drill else '通常の監視に戻りました'}"
    en = f"[{wording.SENDER_EN}] {station.name_en}: {'the exercise has ended' if drill else 'back to ordinary watch'}"
    said_ja = "" if drill else "基準水位を下回り、通常の監視に戻りました。"
    said_en = "" if drill else "Below its thresholds, back to ordinary watch."
    lines_ja = [x for x in (f"{wording.time_ja(at)} {said_ja}".rstrip(), wording.DISCLAIMER_JA) if x]
    lines_en = [x for x in (f"{wording.time_en(at)} {said_en}".rstrip(), wording.DISCLAIMER_EN) if x]
    key = f"{e.tenant}/{e.id}//ended/{at}"
    base = message(work, to, key, station, texts(to, station, (ja, "\n".join(lines_ja)), (en, "\n".join(lines_en))))
    found = replace(
        base,
        status="Exercise" if drill else base.status,
        note=cap.NOTE_DRILL if drill else base.note,
        incident=e.id,
        parameters=(("rank", "0"), ("level_table", work.rules.registry.levels.name)),
    )
    return Due((e.tenant, e.id), e.station, e.id, found, ends=True)


def abandoned(work: Batch) -> list[Chain]:
    """Chains of episodes that ended because their station was taken out of the configuration."""
    ended = (e for e in work.episodes.values() if e.closed_ms is not None and (e.tenant, e.id) in work.memory.chains)
    return [(e.tenant, e.id) for e in ended if work.rules.registry.station(e.tenant, e.station) is None]


def unwatched(last: Message, now_ms: int) -> Message:
    """The last word on a station of which only messages are left: it is no longer watched, which is no all-clear."""
    names = last.texts[0].area.removesuffix("周辺"), last.texts[1].area.removeprefix("around ")
    said = wording.removed(names, now_ms, last.status == "Exercise")
    texts = (
        replace(x, headline=head, description=text, instruction="")
        for x, (head, text) in zip(last.texts, said, strict=True)
    )
    sent = now_ms - now_ms % 1000
    return replace(
        last,
        identifier=f"{last.identifier.partition('.renewed.')[0]}.unwatched.{now_ms}",
        sent_ms=sent,
        expires_ms=sent + VALID_MS,
        msg_type="Alert",
        meaning=cap.UNWATCHED,
        texts=tuple(texts),
        onset_ms=None,
        rank=0,
        parameters=(),
    )


def renewals(work: Batch) -> list[Chain]:
    """Chains of episodes that last and whose newest message expires soon."""
    soon = work.rules.now_ms + RENEWED_MS
    about = [chain for chain, x in work.memory.chains.items() if x.expires_ms <= soon and not x.ordered]
    if not about:
        return []
    lasting = {(e.tenant, e.id) for e in {**work.memory.episodes, **work.episodes}.values() if e.closed_ms is None}
    told = {(t.tenant, t.episode) for t in work.transitions}
    return [chain for chain in about if chain in lasting and chain not in told]


def renewed(last: Message, now_ms: int) -> Message:
    """The same once more, for another day."""
    again = "前回からの継続です。", "Still in force. "
    said = tuple(
        x if x.description.startswith(head) else replace(x, description=f"{head}{x.description}")
        for x, head in zip(last.texts, again, strict=True)
    )
    name = last.identifier.partition(".renewed.")[0]
    sent = now_ms - now_ms % 1000
    return replace(
        last,
        identifier=f"{name}.renewed.{last.expires_ms}",
        sent_ms=sent,
        expires_ms=sent + VALID_MS,
        texts=said,
    )


# --- with the mayor's order ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Order:
    """The mayor's order that a person's message cites: the row of the journal, when it was given, what it says."""

    number: int
    at_ms: int
    text: str


def release(
    work: Batch, to: settings.Cap, e: Episode, station: Station, response: str, order: Order, by: str, words: str
) -> Due:
    """A message to the public's protectors that a person releases. Raises ValueError where nothing was released before
    and this ends it."""
    chain = (e.tenant, f"{e.id}/order")
    begun, ends = chain in work.memory.chains, response == "AllClear"
    if ends and not begun:
        raise ValueError("nothing was released for this episode that could end")
    cited_ja = f"市長の発令（{wording.time_ja(order.at_ms)}、記録番号{order.number}）による。"
    cited_en = f"By order of the mayor ({wording.time_en(order.at_ms)}, record {order.number}). "
    ja = f"{station.name_ja}：{words}", f"{cited_ja}\n{order.text}\n発信者：{by}"
    en = f"{station.name_en}: {response}, by order of the mayor", f"{cited_en}\n{order.text}\nReleased by {by}."
    written = texts(to, station, ja, en, (f"{cited_ja}{words}", f"{cited_en}{words}"))
    rank = max((work.state((e.tenant, e.station, c.name)).rank for c in station.watched), default=0)
    rank = e.max_rank if e.kind == "drill" else rank
    key = f"{e.tenant}/{e.id}//{response.lower()}-{order.number}/{work.rules.now_ms}"
    base, state = message(work, to, key, station, written), cap.meaning(max(rank, cap.LEAST_RANK), True)
    drill = e.kind == "drill"
    found = replace(
        base,
        status="Exercise" if drill else base.status,
        note=cap.NOTE_DRILL if drill else base.note,
        meaning=cap.OVER if ends else Meaning(state.urgency, state.severity, "Observed", response),
        incident=e.id,
        onset_ms=order.at_ms,
        parameters=(("order", str(order.number)), ("rank", str(rank))),
        rank=rank,
        released_by=by,
        order=f"{order.number} {order.text}",
    )
    return Due(chain, e.station, e.id, found, ends)

"""What people read of a common cause of silence, in Japanese and English: what failed, which stations, since when, and
what was known of those at a level. Names what it may be, never more than the data say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway import causes
from gateway.bridge import wording
from gateway.bridge.notify import Owed, addressed
from gateway.calling import Call
from gateway.channelstate import ChannelState
from gateway.episodes import Episode
from gateway.model import Change, Transition
from gateway.settings import Bridge
from gateway.stations import Channel, Group, Level, LevelTable, Registry, Station, level_at

SHOWN = 12  # stations that a text names; of more it says how many
StateOf = Callable[[tuple[str, str, str]], ChannelState]


@dataclass(frozen=True, slots=True)
class Said:
    """A common cause as its words need it. `held`: stations at a level that nobody sees now: that rank, the time of
    the last observation, and whether it was confirmed; the highest first. `total`: how many stations the group has;
    0 where the configuration knows it no longer. `most`: how many it took at the most, `back` those of them that are
    heard again, as far as they are named."""

    t: Transition
    group: Group
    stations: Sequence[Station]
    held: Sequence[tuple[Station, int, int | None, bool]]
    levels: LevelTable
    total: int = 0
    most: int = 0
    back: Sequence[Station] = ()

    @property
    def heard(self) -> int:
        """How many are heard again."""
        return max(self.most - len(self.stations), len(self.back))

    @property
    def quantities(self) -> list[str]:
        """What is unknown at its stations, water first."""
        found = {_unknown(s, c) for s in self.stations for c in s.watched or s.channels.values()}
        return [x for x in _QUANTITIES if x in found] or ["level"]


_QUANTITIES = {
    "level": ("水位", "levels"),
    "tide": ("潮位", "tides"),
    "rain": ("雨量", "rain"),
    "contact": ("浸水の有無", "whether roads are under water"),
    "value": ("観測値", "values"),
}


def _unknown(station: Station, channel: Channel) -> str:
    if channel.contact:
        return "contact"
    if channel.quantity in ("water_level", "tide_deviation"):
        return "tide" if station.hazard == "tide" else "level"
    return "rain" if channel.quantity.startswith("rain") else "value"


def said(t: Transition, episode: Episode, registry: Registry, state_of: StateOf) -> Said:
    """What there is to say of a cause: its stations as the episode lists them now."""
    tenant, text = episode.tenant, episode.course.group
    found = next(((x, g) for x, g in registry.groups if x == tenant and causes.text_of(g) == text), None)
    group, total = (found[1], len(registry.groups[found])) if found else ((("", text),), 0)
    stations = [s for x in episode.course.stations if (s := registry.station(tenant, x)) is not None]
    held = []
    for station in stations:
        states = [state_of((tenant, station.id, c.name)) for c in station.watched]
        worst = max((s for s in states if s.held), key=lambda s: max(s.rank, s.unconfirmed), default=None)
        if worst is not None:
            rank = max(worst.rank, worst.unconfirmed)
            held.append((station, rank, worst.usable_ms, rank == worst.rank))
    gone = (s for x in episode.course.ever if x not in episode.course.stations for s in [registry.station(tenant, x)])
    back, most = [s for s in gone if s is not None], episode.course.most
    return Said(t, group, stations, sorted(held, key=lambda x: -x[1]), registry.levels, total, most, back)


_KINDS_JA = {"area": "{}", "carrier": "携帯回線{}", "power": "電源{}", "device": "観測装置{}"}
_KINDS_EN = {"area": "{}", "carrier": "carrier {}", "power": "power {}", "device": "device {}"}


def _group_ja(group: Group) -> str:
    """北部地区（携帯回線A）"""
    first, *rest = (_KINDS_JA.get(kind, "{}").format(name) for kind, name in group)
    return first + (f"（{'・'.join(rest)}）" if rest else "")


def _group_en(group: Group) -> str:
    first, *rest = (_KINDS_EN.get(kind, "{}").format(name) for kind, name in group)
    return first + (f" ({', '.join(rest)})" if rest else "")


def _everything(x: Said) -> bool:
    """The group is all stations there are: its name is the tenant's, which says nothing to people."""
    return any(kind == "tenant" for kind, _ in x.group)


def _which_ja(x: Said, count: int) -> str:
    """南部（携帯回線C）の3観測所; of everything 全13観測所, or 15観測所のうち13観測所."""
    if not _everything(x):
        return f"{_group_ja(x.group)}の{count}観測所"
    return f"全{count}観測所" if count >= x.total else f"{x.total}観測所のうち{count}観測所"


def _which_en(x: Said, count: int) -> str:
    if not _everything(x):
        return f"{_group_en(x.group)}: {count} station{'s' * (count != 1)}"
    return f"all {count} stations" if count >= x.total else f"{count} of {x.total} stations"


def japanese(x: Said) -> tuple[str, str]:
    """(subject, text)."""
    count = len(x.stations)
    if x.t.change is Change.RESTORED:
        which = _which_ja(x, x.heard)
        left = f"。{count}観測所は引き続き未着" if count else ""
        lines = [
            f"{which}：観測データの受信が再開しました{left}",
            f"{wording.time_ja(x.t.at_ms)}に受信を確認しました。",
        ]
        lines += [_names_ja("受信を再開", x.back, x.heard)] if x.back else []
        lines += [_names_ja("引き続き未着", x.stations, count)] if count else []
        return f"【{wording.SENDER_JA}】{which} 受信を再開{left}", "\n".join([*lines, wording.DISCLAIMER_JA])
    what = "が故障" if x.t.change is Change.FAULTY else "が未着"
    since = f"{wording.time_ja(x.t.at_ms)}以後"
    worst = f"（{x.held[0][0].name_ja}ほか観測不能）" if len(x.held) > 1 else ""
    worst = f"（{x.held[0][0].name_ja}は観測不能）" if len(x.held) == 1 else worst
    why = "計器が値を出していません" if x.t.change is Change.FAULTY else "データが届いていません"
    unknown = "・".join(_QUANTITIES[q][0] for q in x.quantities)
    lines = [f"{_which_ja(x, count)}{what}{worst}", f"{since}、{why}。現在の{unknown}は不明です。"]
    lines += [_held_ja(x, *h) for h in x.held[:SHOWN]]
    lines.append(_names_ja("対象", x.stations, count))
    lines.append(f"{_probably_ja(x.group)}。{_look_ja(x)}")
    return f"【{wording.SENDER_JA}】{_which_ja(x, count)}{what}{worst}", "\n".join([*lines, wording.DISCLAIMER_JA])


def _held_ja(x: Said, station: Station, rank: int, since_ms: int | None, sure: bool) -> str:
    level = _level(x, station, rank).ja
    since = f"（{wording.time_ja(since_ms)}以後不明）" if since_ms is not None else ""
    wet = any(c.contact for c in station.watched)
    stands = f"浸水を検知したまま観測不能（{level}）" if wet else f"{level}超過のまま観測不能"
    return f"{'' if sure else '【未確認】'}{station.name_ja}：{stands}{since}"


def _level(x: Said, station: Station, rank: int) -> Level:
    """As the station itself calls it, of whichever of its channels has it."""
    return level_at(x.levels, station, station.having(rank, x.t.at_ms), rank)


def _look_ja(x: Said) -> str:
    """What there is to do; nobody sees from a bridge how much it rains upstream."""
    if x.quantities == ["rain"]:
        return "気象レーダーなどで雨の状況を確認してください。"
    return f"カメラ・巡視などで{'水位' if x.quantities == ['level'] else '現地の状況'}を確認してください。"


def _names_ja(head: str, stations: Sequence[Station], count: int) -> str:
    names = "、".join(s.name_ja for s in stations[:SHOWN])
    more = count - min(len(stations), SHOWN)
    return f"{head}：{names}" + (f" ほか{more}観測所" if more > 0 else "")


def _probably_ja(group: Group) -> str:
    kinds = {kind for kind, _ in group}
    if "device" in kinds:
        return "観測装置またはその通信・電源の障害とみられます"
    if "tenant" in kinds:
        return "共通の原因（通信・受信側）の障害とみられます"
    return "通信障害または停電とみられます" if "power" in kinds or kinds == {"area"} else "通信障害とみられます"


def english(x: Said) -> tuple[str, str]:
    """(subject, text)."""
    count = len(x.stations)
    if x.t.change is Change.RESTORED:
        which = _which_en(x, x.heard)
        left = f"; {count} station{'s' * (count != 1)} still silent" if count else ""
        lines = [f"{which}: data arrive again{left}", f"Heard at {wording.time_en(x.t.at_ms)}"]
        lines += [_names_en("Heard again", x.back, x.heard)] if x.back else []
        lines += [_names_en("Still silent", x.stations, count)] if count else []
        return f"[{wording.SENDER_EN}] {which}: data again{left}", "\n".join([*lines, wording.DISCLAIMER_EN])
    state = "faulty" if x.t.change is Change.FAULTY else "silent"
    blind = f", {len(x.held)} of them above a level" if x.held else ""
    head = f"{_which_en(x, count)} {state}{blind}"
    unknown = ", ".join(_QUANTITIES[q][1] for q in x.quantities)
    lines = [head, f"Nothing usable since {wording.time_en(x.t.at_ms)}. Unknown now: {unknown}"]
    for station, rank, since_ms, sure in x.held[:SHOWN]:
        since = f", unknown since {wording.time_en(since_ms)}" if since_ms is not None else ""
        level = _level(x, station, rank).en
        lines.append(f"{'' if sure else 'UNCONFIRMED. '}{station.name_en}: lost while above {level}{since}")
    lines += [_names_en("Stations", x.stations, count), f"A common cause is likely. {_look_en(x)}"]
    return f"[{wording.SENDER_EN}] {head}", "\n".join([*lines, wording.DISCLAIMER_EN])


def _look_en(x: Said) -> str:
    if x.quantities == ["rain"]:
        return "See by weather radar how it rains."
    return f"Check {'levels ' if x.quantities == ['level'] else ''}on site or by camera."


def _names_en(head: str, stations: Sequence[Station], count: int) -> str:
    names = ", ".join(s.name_en for s in stations[:SHOWN])
    more = count - min(len(stations), SHOWN)
    return f"{head}: {names}" + (f" and {more} more" if more > 0 else "")


def owed(x: Said, bridge: Bridge, now_ms: int, calls: Sequence[Call]) -> list[Owed]:
    """What these calls owe. A cause stands on no alert topic: its stations' own do."""
    return addressed(_body(x), calls, bridge, now_ms)


def _body(x: Said) -> dict[str, object]:
    """The keys of a station's notification, as far as they mean anything, and the list of stations."""
    t, level = x.t, x.levels.by_rank(x.t.to_rank)
    (subject_ja, text_ja), (subject_en, text_en) = japanese(x), english(x)
    return {
        "key": t.key,
        "tenant": t.tenant,
        "station": "",
        "channel": "",
        "episode": t.episode,
        "change": t.change,
        "from_rank": t.from_rank,
        "rank": t.to_rank,
        "level": level.key,
        "level_table": x.levels.name,
        "name": {"ja": level.ja, "en": level.en},
        "confirmed": t.confirmed,
        "rings": t.rings,
        "group": causes.text_of(x.group),
        "stations": [s.id for s in x.stations],
        "held_stations": [s.id for s, *_ in x.held],
        "value": None,
        "observed_ms": t.at_ms,
        "subject": {"ja": subject_ja, "en": subject_en},
        "text": {"ja": text_ja, "en": text_en},
    }

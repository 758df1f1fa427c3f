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
from gateway.stations import Group, LevelTable, Registry, Station

SHOWN = 12  # stations that a text names; of more it says how many
StateOf = Callable[[tuple[str, str, str]], ChannelState]


@dataclass(frozen=True, slots=True)
class Said:
    """A common cause as its words need it. `held`: stations at a level that nobody sees now: that rank, the time of
    the last observation, and whether it was confirmed; the highest first. `total`: how many stations the group has;
    0 where the configuration knows it no longer."""

    t: Transition
    group: Group
    stations: Sequence[Station]
    held: Sequence[tuple[Station, int, int | None, bool]]
    levels: LevelTable
    total: int = 0


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
    return Said(t, group, stations, sorted(held, key=lambda x: -x[1]), registry.levels, total)


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


def _which_ja(x: Said) -> str:
    """南部（携帯回線C）の3観測所; of everything 全13観測所, or 15観測所のうち13観測所."""
    count = len(x.stations)
    if not _everything(x):
        return f"{_group_ja(x.group)}の{count}観測所"
    return f"全{count}観測所" if count >= x.total else f"{x.total}観測所のうち{count}観測所"


def _which_en(x: Said) -> str:
    count = len(x.stations)
    if not _everything(x):
        return f"{_group_en(x.group)}: {count} station{'s' * (count != 1)}"
    return f"all {count} stations" if count >= x.total else f"{count} of {x.total} stations"


def japanese(x: Said) -> tuple[str, str]:
    """(subject, text)."""
    where, count = "" if _everything(x) else _group_ja(x.group), len(x.stations)
    if x.t.change is Change.RESTORED:
        left = f"。{count}観測所は引き続き未着" if count else ""
        lines = [f"{where}{'：' * bool(where)}観測データの受信が再開しました{left}"]
        lines += [_names_ja("引き続き未着", x.stations)] if count else []
        subject = f"{where} 受信を再開" if where else "観測データの受信を再開"
        return f"【{wording.SENDER_JA}】{subject}{left}", "\n".join([*lines, wording.DISCLAIMER_JA])
    what = "が故障" if x.t.change is Change.FAULTY else "が未着"
    since = f"{wording.time_ja(x.t.at_ms)}以後"
    worst = f"（{x.held[0][0].name_ja}ほか観測不能）" if len(x.held) > 1 else ""
    worst = f"（{x.held[0][0].name_ja}は観測不能）" if len(x.held) == 1 else worst
    lines = [f"{_which_ja(x)}{what}{worst}", f"{since}、データが届いていません。水位は不明です"]
    if x.t.change is Change.FAULTY:
        lines[1] = f"{since}、計器が値を出していません。水位は不明です"
    lines += [_held_ja(x, *h) for h in x.held[:SHOWN]]
    lines.append(_names_ja("対象", x.stations))
    lines.append(f"{_probably_ja(x.group)}。現地・カメラ等で水位を確認してください。")
    return f"【{wording.SENDER_JA}】{_which_ja(x)}{what}{worst}", "\n".join([*lines, wording.DISCLAIMER_JA])


def _held_ja(x: Said, station: Station, rank: int, since_ms: int | None, sure: bool) -> str:
    level = x.levels.by_rank(rank).ja
    since = f"（{wording.time_ja(since_ms)}以後不明）" if since_ms is not None else ""
    return f"{'' if sure else '【未確認】'}{station.name_ja}：{level}超過のまま観測不能{since}"


def _names_ja(head: str, stations: Sequence[Station]) -> str:
    names = "、".join(s.name_ja for s in stations[:SHOWN])
    return f"{head}：{names}" + (f" ほか{len(stations) - SHOWN}観測所" if len(stations) > SHOWN else "")


def _probably_ja(group: Group) -> str:
    kinds = {kind for kind, _ in group}
    if "device" in kinds:
        return "観測装置またはその通信・電源の障害とみられます"
    if "tenant" in kinds:
        return "共通の原因（通信・受信側）の障害とみられます"
    return "通信障害または停電とみられます" if "power" in kinds or kinds == {"area"} else "通信障害とみられます"


def english(x: Said) -> tuple[str, str]:
    """(subject, text)."""
    where, count = "" if _everything(x) else _group_en(x.group), len(x.stations)
    plural = "s" * (count != 1)
    if x.t.change is Change.RESTORED:
        left = f"; {count} station{plural} still silent" if count else ""
        colon = ": " if where else ""
        lines = [f"{where}{colon}data arrive again{left}", *([_names_en("Still silent", x.stations)] if count else [])]
        return f"[{wording.SENDER_EN}] {where}{colon}data again{left}", "\n".join([*lines, wording.DISCLAIMER_EN])
    state = "faulty" if x.t.change is Change.FAULTY else "silent"
    blind = f", {len(x.held)} of them above a level" if x.held else ""
    head = f"{_which_en(x)} {state}{blind}"
    lines = [head, f"Nothing usable since {wording.time_en(x.t.at_ms)}; levels are unknown"]
    for station, rank, since_ms, sure in x.held[:SHOWN]:
        since = f", unknown since {wording.time_en(since_ms)}" if since_ms is not None else ""
        level = x.levels.by_rank(rank).en
        lines.append(f"{'' if sure else 'UNCONFIRMED. '}{station.name_en}: lost while above {level}{since}")
    lines += [_names_en("Stations", x.stations), "A common cause is likely. Check levels on site or by camera."]
    return f"[{wording.SENDER_EN}] {head}", "\n".join([*lines, wording.DISCLAIMER_EN])


def _names_en(head: str, stations: Sequence[Station]) -> str:
    names = ", ".join(s.name_en for s in stations[:SHOWN])
    return f"{head}: {names}" + (f" and {len(stations) - SHOWN} more" if len(stations) > SHOWN else "")


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

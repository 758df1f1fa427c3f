"""What people read: a transition in Japanese and English. Place, value, unit, time of measurement, trend, what it
means. An unknown is called unknown; no codes, and never 『安全』 or 『解除』.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from gateway.channelstate import ChannelState
from gateway.model import Change, Transition
from gateway.stations import Level, LevelTable, Station
from gateway.trend import trend_per_hour

JST = timezone(timedelta(hours=9))  # Japan has one zone and no summer time
DISCLAIMER_JA = "観測値（速報値）による参考情報です。避難情報の発令ではありません。"
DISCLAIMER_EN = "Provisional observation, for reference. This is not an evacuation order."
DRILL_JA, DRILL_EN = "【訓練】", "[DRILL]"  # at the start and the end of subject and text
SENDER_JA, SENDER_EN = "水位情報", "Water level"
_WEEKDAYS = "月火水木金土日"


def time_ja(at_ms: int) -> str:
    """11月22日(日) 03:12"""
    t = datetime.fromtimestamp(at_ms / 1000, JST)
    return f"{t.month}月{t.day}日({_WEEKDAYS[t.weekday()]}) {t:%H:%M}"


def time_en(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, JST):%d %b %H:%M} JST"


def arrow(per_hour: float | None) -> str:
    if per_hour is None:
        return ""
    return "↑" if per_hour > 0.02 else "↓" if per_hour < -0.02 else "→"


def _value(value: float | None, unit: str) -> str | None:
    if value is None:
        return None
    return f"{value:z.2f} {unit}" if unit == "m" else f"{value:zg} {unit}"


def _trend(state: ChannelState, unit: str) -> str:
    per_hour = trend_per_hour(state.recent)
    return "" if per_hour is None else f" {arrow(per_hour)} {per_hour:+z.2f} {unit}/h"


def japanese(
    t: Transition, station: Station, state: ChannelState, unit: str, levels: LevelTable, late_ms: int | None = None
) -> tuple[str, str]:
    """(subject, text). `late_ms` is the age of an observation that came late and alarms all the same."""
    level = levels.by_rank(t.to_rank)
    measured = _measured(t, state)
    what = _what_ja(t, level, levels, measured or t.at_ms, _still_watched(t, station))
    value = _value(t.value, unit) or "水位不明"
    subject = f"【{SENDER_JA}】{'未確認 ' * (not t.confirmed)}{station.name_ja} {what}"
    lines = [
        f"{_late_ja(late_ms)}{'【未確認】' * (not t.confirmed)}{station.name_ja}：{what}",
        f"{'最終観測値' if t.change in _LOST else '水位'} {value}{'' if t.change in _LOST else _trend(state, unit)}",
        f"観測時刻 {time_ja(measured) if measured is not None else '不明'}",
    ]
    return subject, "\n".join([*lines, DISCLAIMER_JA])


def english(
    t: Transition, station: Station, state: ChannelState, unit: str, levels: LevelTable, late_ms: int | None = None
) -> tuple[str, str]:
    """(subject, text). `late_ms` is the age of an observation that came late and alarms all the same."""
    level = levels.by_rank(t.to_rank)
    measured = _measured(t, state)
    what = _what_en(t, level, levels, measured or t.at_ms, _still_watched(t, station))
    value = _value(t.value, unit) or "level unknown"
    subject = f"[{SENDER_EN}] {'UNCONFIRMED ' * (not t.confirmed)}{station.name_en}: {what}"
    lines = [
        f"{_late_en(late_ms)}{'UNCONFIRMED. ' * (not t.confirmed)}{station.name_en}: {what}",
        f"{'Last value' if t.change in _LOST else 'Level'} {value}{'' if t.change in _LOST else _trend(state, unit)}",
        f"Measured {time_en(measured) if measured is not None else 'at an unknown time'}",
    ]
    return subject, "\n".join([*lines, DISCLAIMER_EN])


def _late_ja(late_ms: int | None) -> str:
    return "" if late_ms is None else f"【{max(1, round(late_ms / 60_000))}分前の観測】"


def _late_en(late_ms: int | None) -> str:
    return "" if late_ms is None else f"Measured {max(1, round(late_ms / 60_000))} min ago. "


_PLAIN_JA = {
    Change.FAST_FALL: "水位が急低下（決壊または計器異常の可能性）",
    Change.PAST: "欠測中に{level}を超過していました",
    Change.STEP: "雨量の基準に到達",
    Change.THRESHOLDS: "基準水位が改定されました（監視継続）",
    Change.CONFIRMED: "{level}超過を担当者が確認しました",
    Change.REJECTED: "訂正：{crossed}超過は誤報でした",
    Change.CLOSED: "担当者が対応を終了しました",
}
_PLAIN_EN = {
    Change.FAST_FALL: "falling faster than it plausibly can: a breach, or the gauge is faulty",
    Change.PAST: "{level} was exceeded while data were missing",
    Change.STEP: "a step of rain was reached",
    Change.THRESHOLDS: "its thresholds were revised, still watched",
    Change.CONFIRMED: "{level} exceeded, confirmed by staff",
    Change.REJECTED: "correction: {crossed} was a false alarm",
    Change.CLOSED: "closed by staff",
}

_LOST = (Change.HELD, Change.SILENT, Change.FAULTY)


_BY_PEOPLE = (Change.CONFIRMED, Change.REJECTED, Change.CLOSED)


def as_drill(subject: str, text: str, mark: str) -> tuple[str, str]:
    """Marked at the start and the end, so that no medium that cuts either can make it look real."""
    return f"{mark}{subject}{mark}", f"{mark}{text}{mark}"


def also(more: int) -> tuple[str, str]:
    """What a ring says that stands for others, which were delivered without."""
    return f"（ほか{more}件の通報が届いています）", f"({more} other alert{'s' * (more != 1)} came without a ring)"


def _measured(t: Transition, state: ChannelState) -> int | None:
    """When the value in the text was measured; for a lost channel that is its last usable one, not the fault."""
    if t.change in _BY_PEOPLE and not t.drill:
        return state.usable_ms
    if t.change not in _LOST:
        return t.at_ms
    return state.usable_ms if t.value is not None else None


def _still_watched(t: Transition, station: Station) -> bool:
    """The rank stands by the rule of falls although the last value was below it: the text must not contradict it."""
    channel = station.channels.get(t.channel)
    limits = [x.value for x in channel.in_force(t.at_ms) if x.rank == t.to_rank] if channel else []
    return bool(limits) and t.value is not None and t.value < min(limits)


def _what_ja(t: Transition, level: Level, levels: LevelTable, since_ms: int, below: bool) -> str:
    match t.change:
        case Change.CLOSED if t.drill:
            return "訓練を終了しました"
        case Change.RISE if t.value is None:
            return "浸水センサの送信が停止（浸水のおそれ、中継器は受信中）"
        case Change.RISE:
            return f"{level.ja}を超過"
        case Change.FALL if not t.confirmed:
            return f"{levels.by_rank(t.from_rank).ja}超過は次の観測値では確認できませんでした（監視継続）"
        case Change.FALL:
            crossed = levels.by_rank(t.from_rank).ja
            now = f"。{level.ja}は超過中" if t.to_rank else ""
            return f"{crossed}を下回りました（監視継続）{now}"
        case Change.HELD if below:
            return f"{level.ja}の監視継続中に観測不能（最終観測値は同水位未満、{time_ja(since_ms)}以後不明）"
        case Change.HELD:
            return f"{level.ja}超過のまま観測不能（{time_ja(since_ms)}以後不明）"
        case Change.SILENT:
            return "未着（データが届いていません）"
        case Change.FAULTY:
            return "故障（計器が値を出していません）"
        case Change.RESTORED:
            return "観測を再開しました" + (f"（{level.ja}の監視継続中）" if t.to_rank else "")
        case _:
            crossed = levels.by_rank(t.from_rank).ja
            return _PLAIN_JA[t.change].format(level=level.ja, crossed=crossed)


def _what_en(t: Transition, level: Level, levels: LevelTable, since_ms: int, below: bool) -> str:
    match t.change:
        case Change.CLOSED if t.drill:
            return "the drill has ended"
        case Change.RISE if t.value is None:
            return "the beacon went silent while its router is heard, it may be under water"
        case Change.RISE:
            return f"{level.en} exceeded"
        case Change.FALL if not t.confirmed:
            return f"{levels.by_rank(t.from_rank).en} not borne out by the next observation, still watched"
        case Change.FALL:
            crossed = levels.by_rank(t.from_rank).en
            now = f"; now above {level.en}" if t.to_rank else ""
            return f"below {crossed}, still watched{now}"
        case Change.HELD if below:
            watched = f"lost while {level.en} was still watched, the last value being below it"
            return f"{watched}; unknown since {time_en(since_ms)}"
        case Change.HELD:
            return f"lost while above {level.en}; unknown since {time_en(since_ms)}"
        case Change.SILENT:
            return "silent, no data arrive"
        case Change.FAULTY:
            return "faulty, the gauge gives no value"
        case Change.RESTORED:
            return "observations have resumed" + (f", {level.en} still watched" if t.to_rank else "")
        case _:
            crossed = levels.by_rank(t.from_rank).en
            return _PLAIN_EN[t.change].format(level=level.en, crossed=crossed)

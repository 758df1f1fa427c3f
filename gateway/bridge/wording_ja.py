"""The Japanese of alerts, as a careful duty officer would say it. Never 『安全』 or 『解除』, no name of a bulletin."""

from __future__ import annotations

from datetime import datetime

from gateway.bridge.facts import BY_PEOPLE, LOST, RISES, Facts, Said
from gateway.bridge.wordfigures import JST, amount, arrow, clock, figures
from gateway.raingauge import CONTINUOUS

SENDER = "水位情報"
DISCLAIMER = "観測値（速報値）による参考情報です。避難情報の発令ではありません。"
DRILL = "【訓練】"
UNCONFIRMED, CORRECTION = "【未確認】", "【訂正】"
_WEEKDAYS = "月火水木金土日"
_LOOK = "カメラ・巡視などで現地を確認してください。"
_BASES = {"camera": "カメラ", "patrol": "巡視", "phone": "電話", "office": "河川管理者"}
_SUMS = {"10min": "10分間", "1h": "1時間", "3h": "3時間", "24h": "24時間", CONTINUOUS: "連続"}


def time(at_ms: int) -> str:
    """11月22日(日) 03:12"""
    t = datetime.fromtimestamp(at_ms / 1000, JST)
    return f"{t.month}月{t.day}日({_WEEKDAYS[t.weekday()]}) {t:%H:%M}"


def heads(f: Facts) -> str:
    """What stands before the text, whatever a template says."""
    if f.said is Said.REJECTED:
        return CORRECTION
    late = f"【{age(f)}】" if age(f) else ""
    return f"{'' if f.t.confirmed else UNCONFIRMED}{late}"


def age(f: Facts) -> str:
    """Of an observation that came late and alarms all the same, unless what is measured now stands beside it."""
    return "" if f.late_ms is None or f.since is not None else f"{max(1, round(f.late_ms / 60_000))}分前の観測"


def what(f: Facts) -> str:
    """The sentence."""
    t, name = f.t, mark(f)
    if f.contact and f.said is Said.CONFIRMED:
        return "浸水を担当者が確認しました" + (f"（{f.level.exceeded_ja}）" if f.threshold else "")
    if f.said in _PLAIN:
        return _PLAIN[f.said].format(level=f.level.ja, mark=name, event=event(f))
    match f.said:
        case Said.RISE:
            return f"{f.level.exceeded_ja}" if f.station.hazard == "underpass" else f"{name}を超過"
        case Said.WET:
            return f"浸水を検知（{f.level.exceeded_ja}）" if f.threshold else "浸水を検知"
        case Said.FALL:
            left = t.to_rank and (f"市の目安（{f.level_of(t.to_rank).ja}）" if f.citys else f.level_of(t.to_rank).ja)
            return f"{name}を下回りました（監視継続）" + (f"。{left}は超過中" if left else "")
        case Said.HELD:
            return _held(f)
        case Said.HELD_BELOW:
            since = f"{time(f.measured_ms or t.at_ms)}以後不明"
            return f"{name}の監視継続中に観測不能（最終観測値は同{_noun(f)}未満、{since}）"
        case Said.RESTORED:
            return "観測を再開しました" + (f"（{name}の監視継続中）" if t.to_rank else "")
        case Said.PAST:
            return f"欠測中に{_past(f)}"
        case Said.CLOSED:
            stands = f.level_of(f.state.rank).ja if f.state.rank else ""
            return f"担当者が対応を終了しました（{f'{stands}は超過中、' if stands and not f.contact else ''}監視継続）"
        case Said.STEP:
            return f"雨量の基準「{f.step.name_ja}」に到達" if f.step else "雨量の基準に到達"
        case _:
            raise AssertionError(f.said)


def _held(f: Facts) -> str:
    """Lost while it stood at its level."""
    since = f"{time(f.measured_ms or f.t.at_ms)}以後不明"
    if not f.contact:
        return f"{event(f)}のまま観測不能（{since}）"
    if f.threshold:
        return f"浸水を検知したまま観測不能（{f.level.exceeded_ja}、{since}）"
    return f"浸水のおそれがあるまま観測不能（{since}）"


def mark(f: Facts) -> str:
    """The level concerned; of one that the city goes by, that it is such."""
    return f"市の目安（{f.level.ja}）" if f.citys else f.level.ja


def _past(f: Facts) -> str:
    """What happened while data were missing."""
    if f.t.of_step:
        return f"雨量の基準「{f.step.name_ja}」に到達していました" if f.step else "雨量の基準に到達していました"
    return f"浸水を検知していました（{f.level.exceeded_ja}）" if f.contact else f"{mark(f)}を超過していました"


def event(f: Facts) -> str:
    """What came about, as a noun."""
    if f.contact:
        return f"浸水の検知（{f.level.exceeded_ja}）" if f.threshold else "浸水のおそれ"
    if f.citys or not f.level.exceeded_ja:
        return f"{mark(f)}超過"
    return f.level.exceeded_ja


_PLAIN = {
    Said.REACHED: "市の目安（{level}）に到達",
    Said.SURGE: "{mark}を超過中、潮位偏差が拡大",
    Said.BEACON: "浸水センサの送信が停止（中継器は通信中、浸水のおそれ）",
    Said.ABOVE_SPAN: "計測上限超過、{mark}を超えているおそれ",
    Said.REFUTED: "{event}は、その後の観測値では確認できませんでした（監視継続）",
    Said.SILENT: "未着（データが届いていません）",
    Said.FAULTY: "故障（計器が値を出していません）",
    Said.FAST_FALL: "急低下：決壊または計器異常の可能性",
    Said.THRESHOLDS: "基準水位が改定されました（監視継続）",
    Said.CONFIRMED: "{event}を担当者が確認しました",
    Said.REJECTED: "{event}は誤報でした",
    Said.DRILL_OVER: "訓練を終了しました",
}
_MEANS = {
    Said.ABOVE_SPAN: f"実際の水位は表示より高いおそれがあります。{_LOOK}",
    Said.BEACON: f"計器の故障の可能性もあります。{_LOOK}",
    Said.HELD: f"現在の{{noun}}は不明です。{_LOOK}",
    Said.HELD_BELOW: f"現在の{{noun}}は不明です。{_LOOK}",
    Said.SILENT: "現在の{noun}は不明です。",
    Said.FAULTY: "現在の{noun}は不明です。",
    Said.FAST_FALL: f"{{level}}の監視を続けています。{_LOOK}",
    Said.PAST: "通信の復旧後に届いた過去の観測値です。現在の{noun}ではありません。",
    Said.THRESHOLDS: "水位の変化ではありません。",
    Said.REJECTED: "上記の通報を取り消します。この観測所の監視は続けています。",
}


def todo(f: Facts) -> str:
    """What it means for whoever reads it."""
    if f.t.drill:
        return "これは訓練です。実際の水位ではありません。"
    if f.station.hazard == "underpass" and f.said in RISES and f.t.to_rank >= 3:
        return "通行止めの判断と措置は道路管理者が行います。"
    if f.said in RISES and not f.t.confirmed and f.said not in _MEANS:
        return f"計器異常の可能性もあります。{_LOOK}"
    found = _MEANS.get(f.said, "").format(level=f.level.ja, noun=_noun(f))
    wet = f.said is Said.PAST and f.contact
    return f"{found}現地を確認してください。" if wet else found


def _noun(f: Facts) -> str:
    """What is measured there."""
    if f.channel is None or f.channel.quantity == "water_level":
        return "潮位" if f.station.hazard == "tide" else "水位"
    return {"rain": "雨量", "tide_deviation": "潮位偏差", "contact": "浸水の状況"}.get(f.channel.quantity, "値")


def _rank(f: Facts) -> str:
    if (
        f.said not in (*RISES, Said.HELD, Said.HELD_BELOW, Said.FAST_FALL, Said.CONFIRMED, Said.PAST)
        or f.concerned == 0
    ):
        return ""
    if f.equivalent:
        return f"警戒レベル{f.concerned}相当"
    return "待機" if f.concerned == 1 else f"5段階の{f.concerned}"


def quantity(f: Facts) -> str:
    """What the value is."""
    if f.said in LOST:
        return "最終観測値"
    if f.contact:
        return "浸水センサ"
    if f.said in BY_PEOPLE:
        return "計器の直近の値" if f.said is Said.REJECTED else "直近の観測値"
    if f.t.of_step and f.step is not None:
        return f"{_SUMS[f.step.of]}雨量"
    return _noun(f)


def _value(f: Facts) -> str:
    if f.t.drill:
        return ""
    said = _of_channel(f, f.value)
    if f.contact:
        return said
    if said and f.said is Said.ABOVE_SPAN:
        return f"{said}以上"
    if f.t.marks:  # of a sum of rain
        said += "以上（欠測あり）" if "incomplete" in f.t.marks else ""
        return said + ("（検定期限切れの雨量計）" if "unverified" in f.t.marks else "")
    return said or ("" if f.said in (*BY_PEOPLE, Said.BEACON) else "不明")


def _of_channel(f: Facts, value: float | None) -> str:
    if f.contact:
        return "" if value is None else "検知" if value else "検知なし"
    return amount(value, f.unit)


def trend(per_hour: float | None, unit: str) -> str:
    if per_hour is None:
        return ""
    if abs(per_hour) <= 0.02:
        return "→ 横ばい"
    return f"↑ 1時間に{per_hour:.2f} {unit}上昇" if per_hour > 0 else f"↓ 1時間に{-per_hour:.2f} {unit}低下"


def _time(f: Facts) -> str:
    if f.measured_ms is None:
        return "" if f.said in BY_PEOPLE else "不明"
    return time(f.measured_ms)


def _measured(f: Facts) -> str:
    if f.t.drill:
        return "終了時刻" if f.said is Said.DRILL_OVER else "想定時刻"
    if f.said is Said.BEACON:
        return "最終受信"
    return "最終観測時刻" if f.said in LOST else "観測時刻"


def _brief(f: Facts) -> str:
    """The value and its time, for a subject."""
    value = _value(f)
    if f.original is not None:
        return f"{clock(f.original.told_ms)}送信の通報を取り消し"
    if f.t.drill or f.said in BY_PEOPLE or not f.value or f.measured_ms is None or f.said is Said.THRESHOLDS:
        return ""
    if f.said in LOST:
        return f"最終観測値 {value}"
    if f.contact:
        return f"{clock(f.measured_ms)}検知"
    going = arrow(f.per_hour)
    if f.since is not None:
        latest, _, per_hour = f.since
        return f"{value} {clock(f.measured_ms)}観測、現在 {amount(latest, f.unit)} {arrow(per_hour)}".rstrip()
    return f"{value}{going and f' {going}'} {clock(f.measured_ms)}観測"


def _by(f: Facts) -> str:
    """Who judged, on what, and when."""
    c = f.course
    if f.said not in BY_PEOPLE or f.t.drill or not c.judged_by:
        return ""
    basis = f"（{_BASES[c.basis]}）" if c.basis in _BASES else ""
    return f"{time(f.t.at_ms)} {c.judged_by}{basis}"


def _withdrawn(f: Facts) -> str:
    """What the notification said that is taken back, and when it was sent."""
    x = f.original
    if x is None:
        return ""
    value = _of_channel(f, x.value)
    seen = f" {value}（{clock(x.at_ms)}観測）" if value else f"（{clock(x.at_ms)}観測）"
    return f"{time(x.told_ms)}送信「{'' if x.confirmed else '未確認 '}{event(f)}」{seen}"


def _now(f: Facts) -> str:
    """What is measured at the time of telling, where that is later."""
    if f.since is None:
        return ""
    value, at_ms, per_hour = f.since
    going = trend(per_hour, f.unit)
    return f"{amount(value, f.unit)}（{clock(at_ms)}観測{f'、{going}' if going else ''}）"


def _minutes(minutes: float) -> str:
    """Five minutes are the finest that an aid is good for."""
    rounded = max(5, round(minutes / 5) * 5)
    hours, rest = divmod(rounded, 60)
    return f"約{hours}時間{f'{rest}分' if rest else ''}" if hours else f"約{rest}分"


def _next(f: Facts) -> str:
    found = f.next()
    if found is None:
        return ""
    level, mark, minutes = found
    return f"{level.ja} {mark.value:z.2f} m まで{_minutes(minutes)}"


def _tide(f: Facts) -> str:
    found = f.tide()
    if found is None:
        return ""
    deviation, high = found
    after = f"、次の満潮 {clock(high.at_ms)}（推算 {high.level:z.2f} m）" if high else ""
    return f"{deviation:+z.2f} m{after}"


def _step(f: Facts) -> dict[str, str]:
    """Of a step of rain its amount, who set it and where that stands."""
    x = f.step if f.said is Said.STEP else None
    if x is None:
        return {}
    said = {"threshold": f"{x.name_ja} {amount(x.value, f.unit)}", "authority": x.authority, "basis": x.source}
    return {word: value for word, value in said.items() if value}


def fields(f: Facts) -> dict[str, str]:
    """The words of a template, each empty where there is nothing to say."""
    own = figures(f)
    words = {
        "place": f.station.name_ja,
        "what": what(f),
        "level": f.level.ja if f.concerned else "",
        "rank": _rank(f),
        "quantity": quantity(f),
        "value": _value(f),
        "trend": trend(f.per_hour, f.unit),
        "measured": _measured(f),
        "time": _time(f),
        "brief": _brief(f),
        "todo": todo(f),
        "by": _by(f),
        "withdrawn": _withdrawn(f),
        "now": _now(f),
        "threshold": own["threshold"] and f"{f.level.ja} {own['threshold']}",
        "next": _next(f),
        "tide": _tide(f),
    }
    return own | words | _step(f)

"""Rows of the journal as sentences, in Japanese and English. Place and time stand beside them; bulletins of the
Meteorological Agency are quoted where one was entered, never named by us. Pure.
"""

from __future__ import annotations

from typing import Any

from gateway.journal import Kind, Manual, Row
from gateway.model import Change
from gateway.stations import LevelTable

_KINDS = {
    Kind.TRANSITION: ("観測", "reading"),
    Kind.NOTIFICATION: ("通知", "notification"),
    Kind.ACKNOWLEDGED: ("受信確認", "acknowledged"),
    Kind.JUDGED: ("判断", "judgement"),
    Kind.ENDED: ("終了", "ended"),
    Kind.SUSPENDED: ("停止・点検", "suspended"),
    Kind.DRILL: ("訓練", "drill"),
    Kind.THRESHOLDS: ("基準水位", "thresholds"),
    Kind.BULLETIN: ("情報受信", "bulletin"),
    Kind.MANUAL: ("記録", "entry"),
    Kind.RELEASE: ("発信", "release"),
    Kind.STORE: ("システム", "system"),
    Kind.EQUIPMENT: ("機器", "equipment"),
}
CONTACT = "/"  # the unit of what is wet or dry
OFFICIAL = "基準水位観測所"
_PLAIN = {
    Change.RISE: ("{level}を超過", "{level} exceeded"),
    Change.FALL: ("{level}を下回りました（監視継続）", "below {level}, still watched"),
    Change.HELD: ("{level}超過のまま観測不能", "lost while above {level}"),
    Change.PAST: ("欠測中に{level}を超過していました", "{level} was exceeded while data were missing"),
    Change.CONFIRMED: ("{level}超過を確認", "{level} exceeded, confirmed by a person"),
    Change.REJECTED: ("訂正：{level}超過は誤報", "correction: '{level} exceeded' was a false alarm"),
    Change.SILENT: ("未着（データが届いていません）", "silent, no data arrive"),
    Change.FAULTY: ("故障（計器が値を出していません）", "faulty, the gauge gives no value"),
    Change.RESTORED: ("観測を再開", "observations resumed"),
    Change.FAST_FALL: ("急低下：決壊または計器異常の可能性", "falling too fast: a breach, or the gauge"),
    Change.STEP: ("雨量の基準「{level}」に到達", "step of rain '{level}' reached"),
    Change.THRESHOLDS: ("基準水位が改定（監視継続）", "thresholds revised, still watched"),
    Change.CLOSED: ("対応を終了", "closed"),
}
_STEP_PAST = ("欠測中に雨量の基準に到達", "a step of rain was reached while data were missing")
_REFUTED = ("{level}超過は確認されず（監視継続）", "{level} not borne out, still watched")
_BEACON = ("浸水センサの送信が停止（浸水のおそれ）", "the beacon went silent, it may be under water")
_CONTACT = {
    Change.RISE: ("浸水を検知（{level}）", "water detected ({level})"),
    Change.HELD: ("浸水を検知したまま観測不能（{level}）", "lost while wet ({level})"),
    Change.PAST: ("欠測中に浸水を検知していました（{level}）", "water was detected while data were missing ({level})"),
    Change.CONFIRMED: ("浸水を確認（{level}）", "water confirmed by a person ({level})"),
    Change.REJECTED: ("訂正：浸水の検知（{level}）は誤報", "correction: 'water detected ({level})' was a false alarm"),
}
_OUTCOMES = {"sent": ("送信済み", "sent"), "given_up": ("送信できず", "given up")}
_JUDGED = {
    "confirmed": ("確認", "confirmed"),
    "rejected": ("誤報と判断", "rejected as a false alarm"),
    "closed": ("対応を終了", "closed"),
}
_BASIS = {"camera": "カメラ", "patrol": "巡回", "phone": "電話", "office": "河川事務所"}
_SUSPENDED = {"mute": ("通知停止", "mute"), "maintenance": ("点検", "maintenance")}
_ACTIONS = {"begin": ("開始", "begins"), "prolong": ("延長", "prolonged"), "end": ("終了", "ends")}


def kind(row: Row, ja: bool = True) -> str:
    """What sort of row it is, in a word; of a manual one what was entered."""
    what = str(row.facts.get("what") or "")
    if row.kind in (Kind.MANUAL, Kind.BULLETIN) and what in Manual._value2member_map_:
        return Manual(what).ja if ja else Manual(what).en
    known = _KINDS.get(Kind(row.kind)) if row.kind in Kind._value2member_map_ else None
    return known[not ja] if known else row.kind


def sentence(row: Row, levels: LevelTable, ja: bool = True) -> str:
    """What the row says, beside its time, place and kind."""
    facts = row.facts
    match row.kind:
        case Kind.TRANSITION:
            text = _transition(facts, levels, ja)
        case Kind.NOTIFICATION:
            text = _notification(facts, ja)
        case Kind.ACKNOWLEDGED | Kind.JUDGED | Kind.SUSPENDED | Kind.DRILL:
            text = _person(row.kind, facts, levels, ja)
        case Kind.THRESHOLDS:
            text = _thresholds(facts, levels, ja)
        case Kind.ENDED:
            text = "通常の監視に戻りました" if ja else "back to ordinary watch"
        case Kind.RELEASE:
            cited = (
                f"市長の発令（記録番号{facts.get('order')}）"
                if ja
                else f"order of the mayor (row {facts.get('order')})"
            )
            text = f"CAP {facts.get('response')}: {facts.get('text')} / {cited}"
        case Kind.STORE:
            text = _store(facts, ja)
        case Kind.EQUIPMENT:
            text = _equipment(facts, ja)
        case _:
            text = str(facts.get("text") or "")
            if "corrects" in facts:
                number = facts["corrects"]
                text = f"（記録{number}の訂正）{text}" if ja else f"(corrects row {number}) {text}"
    drill = facts.get("drill") is True or row.kind == Kind.DRILL
    text = f"{text}（{row.by}）" if ja and row.by else f"{text} ({row.by})" if row.by else text
    return f"【訓練】{text}【訓練】" if drill and facts.get("action") not in ("test", "answered") else text


def _name(facts: dict[str, Any], levels: LevelTable, rank: int, ja: bool) -> str:
    """The level as it was called at its place. Rows of before that was written down are named by the table."""
    if isinstance(name := facts.get("name"), dict):
        return str(name.get("ja" if ja else "en") or "")
    level = levels.of_key(str(facts.get("level") or "")) or levels.by_rank(rank)
    level = level if level.rank == rank else levels.by_rank(rank)
    return level.ja if ja else level.en


def _transition(facts: dict[str, Any], levels: LevelTable, ja: bool) -> str:
    change = Change(facts["change"])
    down = change in (Change.FALL, Change.REJECTED)
    name = _name(facts, levels, int(facts["from_rank" if down else "to_rank"]), ja)
    basis = (facts.get("threshold") or {}).get("basis", OFFICIAL)
    if basis != OFFICIAL and not facts.get("contact"):
        name = f"市の目安（{name}）" if ja else f"the city's mark ({name})"
    unsure = not facts.get("confirmed", True)
    words = _PLAIN.get(change)
    if facts.get("contact"):
        words = _CONTACT.get(change, words)
        words = _BEACON if change is Change.RISE and facts.get("value") is None else words
    if change is Change.FALL and unsure:
        words = _REFUTED
    if change is Change.PAST and not int(facts["to_rank"]):
        words = _STEP_PAST
    assert words is not None
    text = words[not ja].format(level=name)
    head = ("【未確認】" if ja else "UNCONFIRMED: ") if unsure and change is not Change.FALL else ""
    return f"{head}{text}{_listed(facts, ja)}{_measured(facts, ja)}"


def _listed(facts: dict[str, Any], ja: bool) -> str:
    """The stations of a common cause."""
    names = [x[not ja] for x in facts.get("names") or []] or [str(x) for x in facts.get("stations") or []]
    if not names:
        return ""
    return f"：{'、'.join(names)}" if ja else f": {', '.join(names)}"


def _measured(facts: dict[str, Any], ja: bool) -> str:
    value, mark = facts.get("value"), facts.get("threshold")
    if value is None:
        return ""
    if facts.get("contact"):
        return ("  接点は湿" if value else "  接点は乾") if ja else ("  reads wet" if value else "  reads dry")
    unit = str(facts.get("unit") or "")
    said = f"{value:.2f} {unit}" if unit == "m" else f"{value:g} {unit}"
    if not isinstance(mark, dict):
        return f"  {said}"
    limit = f"{mark['value']:.2f}" if unit == "m" else f"{mark['value']:g}"
    whose = "・".join(x for x in (mark.get("authority"), mark.get("basis")) if x)
    return f"  {said}（基準 {limit}、{whose}）" if ja else f"  {said} (threshold {limit}, {whose})"


def _notification(facts: dict[str, Any], ja: bool) -> str:
    outcome = _OUTCOMES.get(str(facts.get("outcome")), (str(facts.get("outcome")),) * 2)[not ja]
    attempts, reason = int(facts.get("attempts") or 0), str(facts.get("reason") or "")
    tries = (f"、{attempts}回目" if ja else f", attempt {attempts}") if attempts > 1 else ""
    why = (f"：{reason}" if ja else f": {reason}") if reason else ""
    subject = (facts.get("subject") or {}).get("ja" if ja else "en", "")
    what = (f"「{subject}」" if ja else f': "{subject}"') if subject else ""
    by = "、" if ja else ", "
    via = by.join(str(facts[x]) for x in ("recipient", "medium") if facts.get(x))
    who = str(facts.get("who") or "")
    if not who:
        who, via = str(facts.get("recipient")), str(facts.get("medium"))
    to = f"{who}（{via}）" if ja else f"{who} ({via})"
    return f"{to}へ{what}{outcome}{tries}{why}" if ja else f"{to} {outcome}{tries}{why}{what}"


def _person(what: str, facts: dict[str, Any], levels: LevelTable, ja: bool) -> str:
    action, note = str(facts.get("action") or ""), str(facts.get("note") or "")
    if what == Kind.JUDGED:
        text = _JUDGED.get(action, (action, action))[not ja]
        basis = str(facts.get("basis") or "")
        text += (f"（{_BASIS.get(basis, basis)}）" if ja else f" ({basis})") if basis else ""
    elif what == Kind.SUSPENDED:
        name = _SUSPENDED.get(str(facts.get("kind")), (str(facts.get("kind")),) * 2)[not ja]
        text = f"{name}{'' if ja else ' '}{_ACTIONS.get(action, (action, action))[not ja]}"
    elif what == Kind.DRILL:
        text = _drill(facts, action, levels, ja)
    elif action == "acknowledged":
        text = "受信を確認" if ja else "seen"
    else:
        text = _unanswered(facts, ja)
    return f"{text}：{note}" if note and ja else f"{text}: {note}" if note else text


def _unanswered(facts: dict[str, Any], ja: bool) -> str:
    """Nobody acknowledged in all rounds of a call, and who was told that."""
    rounds, rung = facts.get("rounds"), [str(x) for x in facts.get("rang") or []]
    if ja:
        return f"呼び出し{rounds}巡に応答なし" + (f"（{'、'.join(rung)}へ再通報）" if rung else "")
    return f"nobody acknowledged in {rounds} rounds" + (f" (told to {', '.join(rung)})" if rung else "")


def _drill(facts: dict[str, Any], action: str, levels: LevelTable, ja: bool) -> str:
    if action in ("test", "answered"):
        whose = str(facts.get("recipient") or facts.get("recipients") or "")
        done = (
            ("通報試験に応答", "answered a test")
            if action == "answered"
            else ("通報試験を送信", "test of the call sent")
        )
        return f"{done[not ja]}：{whose}" if ja else f"{done[1]}: {whose}"
    rank = int(facts.get("rank") or 0)
    called = _name(facts, levels, rank, ja)
    level = f"（{called}）" if ja else f" ({called})"
    name = "訓練" if ja else "drill "
    return f"{name}{_ACTIONS.get(action, (action, action))[not ja]}{level if rank else ''}"


def _thresholds(facts: dict[str, Any], levels: LevelTable, ja: bool) -> str:
    parts = []
    for name, channel in (facts.get("channels") or {}).items():
        marks = []
        for x in channel["thresholds"]:
            level = levels.by_key(x["level"], "*", x.get("basis", ""))
            label = (level.ja if ja else level.en) if level else x["level"]
            marks.append(label if channel["unit"] == CONTACT else f"{label} {x['value']:.2f}")
        unit = "" if channel["unit"] == CONTACT else channel["unit"]
        alone = len(facts["channels"]) == 1
        parts.append(f"{'' if alone else f'{name} '}{'、'.join(marks) if ja else ', '.join(marks)} {unit}".strip())
    none = "基準水位なし" if ja else "none"
    return ("有効な基準水位：" if ja else "in force: ") + ("／".join(parts) if parts else none)


def _equipment(facts: dict[str, Any], ja: bool) -> str:
    where = f"{facts.get('channel')}{'：' if ja else ': '}"
    if facts.get("event") != "replaced":
        way = f"× {facts.get('scale'):g}, {facts.get('offset'):+g}"
        return f"{where}{'校正' if ja else 'calibrated'} {way} ({facts.get('basis')}, {facts.get('by')})"
    old, new, why, known = (facts.get(key) for key in ("old", "new", "why", "zero_checked"))
    if ja:
        return f"{where}計器を交換 {old} → {new}（{why}、零点{'確認済み' if known else '未確認'}）"
    return f"{where}sensor {old} replaced by {new} ({why}; zero {'checked' if known else 'not checked'})"


def _store(facts: dict[str, Any], ja: bool) -> str:
    if facts.get("action") == "restored":
        lost = int(facts.get("carried") or 0)
        ja_text = f"データベースをバックアップから復元（以前の記録{lost}件を引き継ぎ）"
        return ja_text if ja else f"store restored from a backup ({lost} later rows carried over)"
    return str(facts.get("action") or "")

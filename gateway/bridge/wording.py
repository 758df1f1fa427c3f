"""What people read: a transition in Japanese and English. Place, what, value, unit, time of measurement, trend, what it
means. An unknown is called unknown; no codes, and never 『安全』 or 『解除』.

The words are made in `wording_ja` and `wording_en`, from `facts`, and put together by a template. What stands around it
is not the template's: who speaks, what is in doubt, drills, and the closing sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway import templates
from gateway.bridge import wording_en, wording_ja
from gateway.bridge.facts import Facts
from gateway.bridge.wordfigures import JST as JST
from gateway.bridge.wordfigures import arrow as arrow
from gateway.channelstate import ChannelState
from gateway.episodes import Suspension
from gateway.model import Change, Transition
from gateway.stations import LevelTable, Station
from gateway.templates import Language, Template

DISCLAIMER_JA, DISCLAIMER_EN = wording_ja.DISCLAIMER, wording_en.DISCLAIMER
DRILL_JA, DRILL_EN = wording_ja.DRILL, wording_en.DRILL  # at the start and the end of subject and text
SENDER_JA, SENDER_EN = wording_ja.SENDER, wording_en.SENDER
time_ja, time_en = wording_ja.time, wording_en.time


@dataclass(frozen=True, slots=True)
class _Tongue:
    """A language: its words, and what is put around them."""

    fields: Callable[[Facts], dict[str, str]]
    heads: Callable[[Facts], str]
    age: Callable[[Facts], str]
    sender: str
    unconfirmed: str
    correction: str
    closing: str
    drill: str


_TONGUES: dict[Language, _Tongue] = {
    "ja": _Tongue(
        wording_ja.fields,
        wording_ja.heads,
        wording_ja.age,
        f"【{SENDER_JA}】",
        "未確認 ",
        "訂正 ",
        DISCLAIMER_JA,
        DRILL_JA,
    ),
    "en": _Tongue(
        wording_en.fields,
        wording_en.heads,
        wording_en.age,
        f"[{SENDER_EN}] ",
        "UNCONFIRMED ",
        "CORRECTION ",
        DISCLAIMER_EN,
        DRILL_EN,
    ),
}


def said(f: Facts, language: Language, template: Template | None = None, marked: bool = True) -> tuple[str, str]:
    """(subject, text) of a transition; `marked`: a drill as one."""
    tongue = _TONGUES[language]
    subject, body = (template or templates.DEFAULTS[language]).filled(tongue.fields(f))
    doubt = tongue.correction if f.t.change is Change.REJECTED else "" if f.t.confirmed else tongue.unconfirmed
    age = tongue.age(f)
    subject = f"{tongue.sender}{doubt}{age}{' ' * bool(age)}{subject}"
    text = f"{tongue.heads(f)}{body}\n{tongue.closing}"
    return as_drill(subject, text, tongue.drill) if f.t.drill and marked else (subject, text)


def both(f: Facts, own: Mapping[Language, Template]) -> dict[str, dict[str, str]]:
    """Subject and text in both languages, by these templates or the defaults."""
    parts = {language: said(f, language, own.get(language)) for language in templates.LANGUAGES}
    return {"subject": {x: parts[x][0] for x in parts}, "text": {x: parts[x][1] for x in parts}}


def _public(t: Transition, station: Station, state: ChannelState, levels: LevelTable, late_ms: int | None) -> Facts:
    channel = station.about(t.channel, t.level)
    return Facts(t, station, channel, state, levels, late_ms)


def japanese(
    t: Transition, station: Station, state: ChannelState, levels: LevelTable, late_ms: int | None = None
) -> tuple[str, str]:
    """(subject, text) for everybody, without what is for staff only. `late_ms` is the age of an observation that came
    late and alarms all the same. A drill is not marked: whoever publishes does."""
    return said(_public(t, station, state, levels, late_ms), "ja", marked=False)


def english(
    t: Transition, station: Station, state: ChannelState, levels: LevelTable, late_ms: int | None = None
) -> tuple[str, str]:
    """As `japanese`."""
    return said(_public(t, station, state, levels, late_ms), "en", marked=False)


def as_drill(subject: str, text: str, mark: str) -> tuple[str, str]:
    """Marked at the start and the end, so that no medium that cuts either can make it look real."""
    before, after = (f"{mark} ", f" {mark}") if mark == DRILL_EN else (mark, mark)
    return f"{before}{subject}{after}", f"{before}{text}{after}"


_UNANSWERED = {
    "ja": ("未応答 ", "【未応答】", "呼び出し{}巡に応答がありません。対応する人を直ちに決め、受信確認をしてください。"),
    "en": (
        "UNANSWERED ",
        "UNANSWERED. ",
        "Nobody answered in {} rounds of the call. Find somebody now, and acknowledge.",
    ),
}


def unanswered(subject: str, text: str, rounds: int, language: Language) -> tuple[str, str]:
    """(subject, text) that say first that nobody has acknowledged; a drill's mark and the sender stay before it, and
    place, level, value and time in the first three lines."""
    tongue, (short, head, line) = _TONGUES[language], _UNANSWERED[language]
    drill = f"{tongue.drill} " if language == "en" else tongue.drill
    before = drill if text.startswith(drill) else ""
    ahead = before + tongue.sender
    lines = text.removeprefix(before).split("\n")
    lines = [head + lines[0], *lines[1:3], line.format(rounds), *lines[3:]]
    return ahead + short + subject.removeprefix(ahead), before + "\n".join(lines)


def under_work(station: Station, x: Suspension, ended_ms: int | None) -> tuple[tuple[str, str], tuple[str, str]]:
    """(subject, text) in Japanese and English: maintenance begins or is prolonged, or has ended."""
    ja, en = ("点検中", "under maintenance") if ended_ms is None else ("点検を終了", "maintenance has ended")
    since, until = x.since_ms, x.until_ms if ended_ms is None else ended_ms
    plan = ended_ms is None
    lines_ja = [f"{station.name_ja}：{ja}", f"{time_ja(since)}から{time_ja(until)}まで{'（予定）' * plan}"]
    lines_en = [f"{station.name_en}: {en}", f"{time_en(since)} to {time_en(until)}{' (planned)' * plan}"]
    if plan:
        lines_ja.append("点検中の観測値は警報に用いません。現在の状況は不明です。")
        lines_en.append("What is measured meanwhile raises no alert. The present state is unknown.")
    else:
        lines_ja.append("監視を再開しました。新しい観測値が届くまで、現在の状況は不明です。")
        lines_en.append("Watched again. The present state is unknown until a new observation comes.")
    brief = f"（{time_ja(until)}まで）" if plan else ""
    return (
        (f"【{SENDER_JA}】{station.name_ja} {ja}{brief}", "\n".join([*lines_ja, DISCLAIMER_JA])),
        (f"[{SENDER_EN}] {station.name_en}: {en}", "\n".join([*lines_en, DISCLAIMER_EN])),
    )


def removed(names: tuple[str, str], at_ms: int, drill: bool) -> tuple[tuple[str, str], tuple[str, str]]:
    """(subject, text) in Japanese and English: a station was taken out of the configuration, and its alert ended."""
    what_ja, what_en = f"{names[0]} 監視対象から除外", f"{names[1]}: no longer watched"
    lines_ja = [
        f"{names[0]}：設定の変更により監視の対象から外されました（{time_ja(at_ms)}）",
        "この観測所の通報は終了します。水位が下がったという意味ではありません。現在の状況は不明です。",
        DISCLAIMER_JA,
    ]
    lines_en = [
        f"{names[1]}: taken out of the configuration ({time_en(at_ms)})",
        "Its alert ends with that. It does not mean that the water has fallen: the present state is unknown.",
        DISCLAIMER_EN,
    ]
    if drill:
        what_ja, lines_ja = f"{DRILL_JA}{what_ja}{DRILL_JA}", [DRILL_JA, *lines_ja, DRILL_JA]
        what_en, lines_en = f"{DRILL_EN}{what_en}{DRILL_EN}", [DRILL_EN, *lines_en, DRILL_EN]
    return (
        (f"【{SENDER_JA}】{what_ja}", "\n".join(lines_ja)),
        (f"[{SENDER_EN}] {what_en}", "\n".join(lines_en)),
    )


def delayed(minutes: int) -> tuple[str, str]:
    """What a notification says that is delivered long after it was owed."""
    hours, rest = divmod(minutes, 60)
    ja = f"{hours}時間{rest}分" if hours and rest else f"{hours}時間" if hours else f"{rest}分"
    en = " ".join(x for x in (f"{hours} h" * bool(hours), f"{rest} min" * bool(rest or not hours)) if x)
    return f"（{ja}遅れて届いた通報です）", f" (delivered {en} late)"


def also(more: int) -> tuple[str, str]:
    """What a ring says that stands for others, which were delivered without."""
    return f"（ほか{more}件の通報が届いています）", f"({more} other alert{'s' * (more != 1)} came without a ring)"

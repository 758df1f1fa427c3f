"""The situations, and what is said in each: mail or chat in Japanese and English, a short message, a call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gateway.bridge import causewords, noticewords, testwords, wording
from gateway.bridge.facts import Facts
from gateway.bridge.media.spoken import short, spoken
from gateway.channelstate import ChannelState
from gateway.episodes import Course, Original
from gateway.errors import NoticeCode
from gateway.model import Change, Transition
from gateway.raingauge import RainStep
from gateway.stations import Channel, Contract, Limits, Station, Threshold
from gateway.tide import Table, Tide
from tests.places import LEVELS, MINUTE, T0

FOLDER = Path(__file__).parent
CONTRACT = Contract(600.0, 300.0)
SOURCE = "県告示第123号 2026-05-20"


def marks(basis: str, authority: str, **levels: float) -> tuple[Threshold, ...]:
    ranks = {"standby": 1, "caution": 2, "evacuation": 3, "danger": 4, "overflow": 5, "notice": 2, "closure": 4}
    ranks |= {"surge_caution": 2}
    return tuple(Threshold(k, ranks[k], v, authority, basis, SOURCE) for k, v in levels.items())


OFFICIAL = marks("基準水位観測所", "県", standby=1.0, caution=2.0, evacuation=2.5, danger=3.0, overflow=3.8)


def station(ja: str, en: str, channel: Channel, **more: Any) -> Station:
    at = ("kagawa", "x", ja, en, 34.25, 133.93, "gw-1", "T.P.", 0.0)
    return Station(*at, {channel.name: channel}, **more)


LEVEL = Channel("water_level", "water_level", CONTRACT, limits=Limits(sensor=(-0.5, 5.0)), thresholds=OFFICIAL)
KASUGA = station("春日橋", "Kasuga Bridge", LEVEL, river="春日川")
POLE = station(
    "新川橋", "Shinkawa Bridge", replace(LEVEL, thresholds=marks("市の目安", "市独自", caution=1.2, danger=1.8))
)
CRISIS = station("詰田川橋", "Tsumeta Bridge", replace(LEVEL, thresholds=marks("危機管理型", "県", overflow=2.4)))
BEACON = station(
    "港町3丁目",
    "Minato 3",
    Channel("contact", "contact", Contract(600.0, 300.0, kind="beacon", wet_rank=3), contact=True),
    hazard="inundation",
)
UNDERPASS = station(
    "太田アンダーパス",
    "Ota Underpass",
    Channel("closing", "contact", CONTRACT, thresholds=marks("市の目安", "市独自", closure=1.0), contact=True),
    hazard="underpass",
)
CURVE = Table(
    "高松 2026", "0", tuple(T0 + h * 60 * MINUTE for h in range(-2, 8)), (0, 0.4, 0.8, 1.1, 1.2, 1, 0.6, 0.2, 0, 0)
)
TIDE = station(
    "高松港",
    "Takamatsu Port",
    replace(LEVEL, thresholds=marks("市の目安", "市独自", caution=1.2, danger=1.9), tide=Tide(CURVE, 0.2)),
    hazard="tide",
)
DEVIATES = station(
    "高松港",
    "Takamatsu Port",
    Channel(
        "tide_deviation",
        "tide_deviation",
        CONTRACT,
        thresholds=marks("市の目安", "市独自", surge_caution=0.5),
        derived="tide",
    ),
    hazard="tide",
)
RAIN = station(
    "香南",
    "Konan",
    Channel("rain_1h", "rain", CONTRACT),
    hazard="rain",
    steps=(RainStep("alert1", "第1次配備", "first call-out", "rain", "1h", 30.0, "市独自", "配備基準", rings=True),),
)

RISING = ChannelState(
    rank=4,
    value=3.06,
    usable_ms=T0,
    recent=tuple((T0 - (6 - i) * 10 * MINUTE, 2.46 + i / 10) for i in range(7)),
)
FALLING = ChannelState(
    value=1.87, usable_ms=T0, recent=tuple((T0 - (2 - i) * 10 * MINUTE, 2.0 - i / 20) for i in range(3))
)
DIED = ChannelState(usable_ms=T0 - 20 * MINUTE, value=3.2, held=True, lost=True)
CALM = ChannelState(value=0.82, usable_ms=T0 - 3 * MINUTE)
NOW = T0 + MINUTE
SAID = Original(4, "danger", 3.06, T0 - 20 * MINUTE, T0 - 19 * MINUTE, confirmed=False)
JUDGED = Course(judged_by="山田", judged_ms=NOW, basis="camera", note="", judgement="rejected", original=SAID)
WET = Original(4, "closure", 1.0, T0 - 20 * MINUTE, T0 - 19 * MINUTE)


@dataclass(frozen=True)
class Situation:
    """What happened, in a sentence, and everything that the words are made of."""

    what: str
    t: Transition
    station: Station = KASUGA
    state: ChannelState = RISING
    late_ms: int | None = None
    course: Course = Course()  # noqa: RUF009 - frozen
    rings: bool = True

    @property
    def facts(self) -> Facts:
        channel = self.station.main_channel or next(iter(self.station.channels.values()))
        return Facts(self.t, self.station, channel, self.state, LEVELS, self.late_ms, self.course, NOW)


def t(
    change: Change, from_rank: int, to_rank: int, value: float | None = 3.06, level: str = "", **more: Any
) -> Transition:
    at_ms = more.pop("at_ms", T0)
    return Transition("kagawa", "x", "", "e", change, from_rank, to_rank, at_ms, value, level=level, **more)


R, F = Change.RISE, Change.FALL
STATIONS = [
    Situation("the corps stands by", t(R, 0, 1, 1.04, "standby"), rings=False, state=FALLING),
    Situation("caution", t(R, 1, 2, 2.01, "caution")),
    Situation("evacuation-judgement level", t(R, 2, 3, 2.52, "evacuation")),
    Situation("danger, rising", t(R, 3, 4, 3.06, "danger")),
    Situation("overflow", t(R, 4, 5, 3.81, "overflow")),
    Situation("danger, seen 25 minutes ago", t(R, 3, 4, 3.06, "danger"), late_ms=25 * MINUTE),
    Situation("danger, unconfirmed", t(R, 0, 4, 3.06, "danger", confirmed=False), state=CALM),
    Situation(
        "unconfirmed and seen late", t(R, 0, 5, 3.9, "overflow", confirmed=False), state=CALM, late_ms=12 * MINUTE
    ),
    Situation("above what the gauge can measure", t(R, 4, 5, 5.0, "overflow", confirmed=False)),
    Situation("not borne out", t(F, 4, 0, 0.8, "danger", confirmed=False), state=CALM),
    Situation("the city's own pole", t(R, 0, 4, 1.83, "danger"), POLE),
    Situation("a crisis-management gauge", t(R, 0, 5, 2.44, "overflow"), CRISIS),
    Situation("a fall to a lower level", t(F, 4, 2, 2.3, "danger"), state=FALLING, rings=False),
    Situation("a fall below all", t(F, 2, 0, 1.87, "caution"), state=FALLING, rings=False),
    Situation("lost at the crest", t(Change.HELD, 4, 4, 3.2, "danger"), state=DIED),
    Situation("lost in a claim", t(Change.HELD, 4, 4, 3.2, "danger", confirmed=False), state=DIED),
    Situation("lost while the rank was falling", t(Change.HELD, 4, 4, 2.6, "danger"), state=DIED),
    Situation("silent", t(Change.SILENT, 0, 0, 0.82), state=CALM),
    Situation("silent since ever", t(Change.SILENT, 0, 0, None), state=ChannelState()),
    Situation("faulty", t(Change.FAULTY, 0, 0, 0.82), state=CALM),
    Situation("data again", t(Change.RESTORED, 0, 0, 0.82), state=CALM, rings=False),
    Situation("data again while danger stands", t(Change.RESTORED, 4, 4, 3.1, "danger"), rings=False),
    Situation("falling too fast", t(Change.FAST_FALL, 4, 4, 0.9, "danger"), state=CALM),
    Situation("exceeded while data were missing", t(Change.PAST, 0, 4, 3.4, "danger"), state=CALM),
    Situation("thresholds revised", t(Change.THRESHOLDS, 3, 3, 2.6, "evacuation"), rings=False),
    Situation(
        "confirmed by a person",
        t(Change.CONFIRMED, 0, 4, 3.06, "danger"),
        course=replace(JUDGED, judgement="confirmed"),
    ),
    Situation(
        "told to the next of the call, ten minutes later",
        t(R, 3, 4, 3.01, "danger", at_ms=T0 - 10 * MINUTE),
        late_ms=10 * MINUTE,
    ),
    Situation("rejected by a person", t(Change.REJECTED, 4, 0, 3.06, "danger", at_ms=NOW), state=CALM, course=JUDGED),
    Situation(
        "a crisis-management gauge rejected",
        t(Change.REJECTED, 5, 0, 3.9, "overflow", at_ms=NOW),
        CRISIS,
        CALM,
        course=replace(JUDGED, original=replace(SAID, rank=5, level="overflow", value=3.9)),
    ),
    Situation(
        "an underpass rejected",
        t(Change.REJECTED, 4, 0, 1.0, "closure", at_ms=NOW),
        UNDERPASS,
        ChannelState(value=0.0, usable_ms=T0),
        course=replace(JUDGED, basis="patrol", original=WET),
    ),
    Situation(
        "an underpass confirmed",
        t(Change.CONFIRMED, 4, 4, 1.0, "closure", at_ms=NOW),
        UNDERPASS,
        ChannelState(rank=4, value=1.0, usable_ms=T0),
        course=replace(JUDGED, basis="patrol", judgement="confirmed"),
    ),
    Situation(
        "an underpass lost while wet",
        t(Change.HELD, 4, 4, 1.0, "closure"),
        UNDERPASS,
        ChannelState(rank=4, value=1.0, usable_ms=T0 - 20 * MINUTE, held=True, lost=True),
    ),
    Situation("the city's own pole, not borne out", t(F, 4, 0, 0.8, "danger", confirmed=False), POLE, CALM),
    Situation(
        "closed by a person",
        t(Change.CLOSED, 4, 0, 0.82, "danger", at_ms=NOW),
        state=CALM,
        course=replace(JUDGED, basis=""),
    ),
    Situation(
        "closed by force while danger stands",
        t(Change.CLOSED, 4, 0, 3.06, "danger", at_ms=NOW),
        course=replace(JUDGED, basis="patrol"),
    ),
    Situation(
        "a beacon may be under water",
        t(R, 0, 3, None, confirmed=False),
        BEACON,
        ChannelState(usable_ms=T0 - 20 * MINUTE),
    ),
    Situation("an underpass is to be closed", t(R, 0, 4, 1.0, "closure"), UNDERPASS, ChannelState()),
    Situation(
        "a contact that is silent", t(Change.SILENT, 0, 0, 0.0), UNDERPASS, ChannelState(usable_ms=T0 - 20 * MINUTE)
    ),
    Situation("high tide", t(R, 0, 4, 1.95, "danger"), TIDE),
    Situation("the sea above the tide", t(R, 2, 2, 1.55, "caution"), TIDE),
    Situation(
        "a deviation of its own level",
        replace(t(R, 0, 2, 0.55, "surge_caution"), channel="tide_deviation"),
        DEVIATES,
        ChannelState(),
    ),
    Situation("a step of rain", t(Change.STEP, 0, 0, 32.0, "alert1"), RAIN, ChannelState()),
    Situation(
        "a step of rain, with data missing",
        t(Change.STEP, 0, 0, 32.0, "alert1", marks=("incomplete", "unverified")),
        RAIN,
        ChannelState(),
    ),
    Situation("a step of rain in the past", t(Change.PAST, 0, 0, 32.0, "alert1"), RAIN, ChannelState()),
    Situation("a contact that was wet in the past", t(Change.PAST, 0, 4, 1.0, "closure"), UNDERPASS, ChannelState()),
    Situation("a drill", t(R, 0, 4, None, "danger", drill=True), state=ChannelState()),
    Situation("the drill ends", t(Change.CLOSED, 4, 0, None, "danger", drill=True), state=ChannelState(), rings=False),
]


def told(subject: dict[str, str], text: dict[str, str], rings: bool, **more: Any) -> str:
    about = {"subject": subject, "text": text, "rings": rings, **more}
    parts = [
        f"[mail] {subject['ja']}", text["ja"], "", f"[mail] {subject['en']}", text["en"], "",
        f"[sms, {len(short(about))}]", short(about), "", "[voice]", spoken(about) if rings else "(not dialled)", "",
    ]  # fmt: skip
    return "\n".join(parts)


def stations() -> str:
    out = []
    for s in STATIONS:
        parts = wording.both(s.facts, {})
        out.append(f"=== {s.what}\n\n{told(parts['subject'], parts['text'], s.rings, drill=s.t.drill)}")
    return "\n".join(out)


# --- the house ---------------------------------------------------------------------------------------------------


def _causes() -> Iterator[tuple[str, causewords.Said]]:
    found = [
        replace(KASUGA, id=str(i), name_ja=n, name_en=e)
        for i, (n, e) in enumerate((("春日橋", "Kasuga"), ("新川橋", "Shinkawa"), ("詰田川橋", "Tsumeta")))
    ]
    group = (("area", "南部"), ("carrier", "C"))
    silent = Transition("kagawa", "", "", "e", Change.SILENT, 0, 0, T0, None)
    yield "a district is silent", causewords.Said(silent, group, found, (), LEVELS)
    held = ((found[0], 4, T0 - 20 * MINUTE, True),)
    yield (
        "one of them at the crest",
        causewords.Said(replace(silent, from_rank=4, to_rank=4), group, found, held, LEVELS),
    )
    yield (
        "a device is faulty",
        causewords.Said(replace(silent, change=Change.FAULTY), (("device", "gw-1"),), found, (), LEVELS),
    )
    everything = (("tenant", "kagawa"),)
    yield "nothing comes any more", causewords.Said(silent, everything, found, (), LEVELS, total=3)
    yield "nearly nothing comes any more", causewords.Said(silent, everything, found, (), LEVELS, total=15)
    back = replace(silent, change=Change.RESTORED, rings=False)
    yield "everything comes again", causewords.Said(back, everything, (), (), LEVELS, 3, 3, found)
    yield "nearly all are back", causewords.Said(back, group, found[:1], (), LEVELS, 3, 3, found[1:])
    others = [replace(RAIN, id="r", steps=RAIN.steps), replace(UNDERPASS, id="u")]
    yield "rain gauges and an underpass are silent too", causewords.Said(silent, group, [*found, *others], (), LEVELS)
    yield "rain gauges alone are silent", causewords.Said(silent, group, others[:1], (), LEVELS)


BRIDGES = {  # conditions of the bridge itself
    *(NoticeCode.BRIDGE_CLOCK, NoticeCode.NO_BROKER, NoticeCode.NO_DATA, NoticeCode.STORE_NEARLY_FULL),
    *(NoticeCode.STORE_FULL, NoticeCode.DISK_FULL, NoticeCode.INFLUX_WAITS, NoticeCode.QUOTA_LOW),
    *(NoticeCode.QUOTA_SPENT, NoticeCode.CAP_WAITS, NoticeCode.PAPER_WAITS),
    *(NoticeCode.ORION_WAITS, NoticeCode.BULLETINS_UNHEARD),
}


def house() -> str:
    out = []
    for what, x in _causes():
        (a, b), (c, d) = causewords.japanese(x), causewords.english(x)
        out.append(f"=== {what}\n\n{told({'ja': a, 'en': c}, {'ja': b, 'en': d}, x.t.rings)}")
    for code in NoticeCode:
        own = code in BRIDGES
        said = noticewords.Said(code, "" if own else "kasuga-01", () if own else (KASUGA,), "", T0, None)
        for state, y in (("begins", said), ("ends", replace(said, ended_ms=T0 + 60 * MINUTE))):
            (a, b), (c, d) = noticewords.japanese(y), noticewords.english(y)
            out.append(f"=== {code}, {state}\n\n{a}\n{b}\n\n{c}\n{d}\n")
    body: Any = testwords.body("20261122T160000Z", "当直", T0)
    out.append(f"=== a test of the call\n\n{told(body['subject'], body['text'], True)}")
    return "\n".join(out)


FILES: dict[str, Callable[[], str]] = {"stations.txt": stations, "house.txt": house}

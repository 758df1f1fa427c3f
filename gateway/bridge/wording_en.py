"""The English of alerts, beside the Japanese and field for field the same."""

from __future__ import annotations

from datetime import datetime

from gateway.bridge.facts import BY_PEOPLE, LOST, RISES, Facts, Said
from gateway.bridge.wordfigures import JST, amount, arrow, clock, figures
from gateway.raingauge import CONTINUOUS

SENDER = "Water level"
DISCLAIMER = "Provisional observation, for reference. This is not an evacuation order."
DRILL = "[DRILL]"
UNCONFIRMED, CORRECTION = "UNCONFIRMED. ", "CORRECTION. "
_LOOK = "Check on site or by camera."
_BASES = {"camera": "by camera", "patrol": "by a patrol", "phone": "by telephone", "office": "by the river office"}
_AUTHORITIES = {"国": "national government", "県": "prefecture", "市独自": "city", "市": "city"}
_KINDS = {
    "基準水位観測所": "official gauge",
    "危機管理型": "crisis-management gauge",
    "市の目安": "the city's own mark",
}
_SUMS = {"10min": "10 min", "1h": "1 h", "3h": "3 h", "24h": "24 h", CONTINUOUS: "continuous"}


def time(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, JST):%d %b %H:%M} JST"


def heads(f: Facts) -> str:
    """What stands before the text, whatever a template says."""
    if f.said is Said.REJECTED:
        return CORRECTION
    late = f"{age(f).capitalize()}. " if age(f) else ""
    return f"{'' if f.t.confirmed else UNCONFIRMED}{late}"


def age(f: Facts) -> str:
    """Of an observation that came late and alarms all the same, unless what is measured now stands beside it."""
    return "" if f.late_ms is None or f.since is not None else f"measured {max(1, round(f.late_ms / 60_000))} min ago"


def what(f: Facts) -> str:
    """The sentence."""
    t, level = f.t, mark(f)
    if f.contact and f.said is Said.CONFIRMED:
        return "water confirmed by staff" + (f" ({f.level.exceeded_en})" if f.threshold else "")
    if f.said in _PLAIN:
        return _PLAIN[f.said].format(level=f.level.en, mark=level, event=event(f))
    match f.said:
        case Said.RISE:
            return f.level.exceeded_en if f.station.hazard == "underpass" else f"{level} exceeded"
        case Said.WET:
            return f"water detected ({f.level.exceeded_en})" if f.threshold else "water detected"
        case Said.FALL:
            left = t.to_rank and f.level_of(t.to_rank).en
            return f"below {level}, still watched" + (f"; now above {left}" if left else "")
        case Said.HELD:
            above = (
                f"above {level}" if not f.contact else f"wet ({f.level.en})" if f.threshold else "perhaps under water"
            )
            return f"lost while {above}; unknown since {time(f.measured_ms or t.at_ms)}"
        case Said.HELD_BELOW:
            since = f"unknown since {time(f.measured_ms or t.at_ms)}"
            return f"lost while {level} was still watched, the last value being below it; {since}"
        case Said.RESTORED:
            return "observations have resumed" + (f", {level} still watched" if t.to_rank else "")
        case Said.PAST:
            return f"{_past(f)} while data were missing" + (f" ({f.level.exceeded_en})" if f.contact else "")
        case Said.CLOSED:
            stands = f.level_of(f.state.rank).en if f.state.rank else ""
            return f"closed by staff, {f'now above {stands}, ' if stands and not f.contact else ''}still watched"
        case Said.STEP:
            return f"step of rain '{f.step.name_en}' reached" if f.step else "a step of rain was reached"
        case _:
            raise AssertionError(f.said)


def mark(f: Facts) -> str:
    """The level concerned; of one that the city goes by, that it is such."""
    return f"the city's mark ({f.level.en})" if f.citys else f.level.en


def _past(f: Facts) -> str:
    """What happened, and nobody saw it."""
    if f.t.of_step:
        return f"step of rain '{f.step.name_en}' was reached" if f.step else "a step of rain was reached"
    return "water was detected" if f.contact else f"{mark(f)} was exceeded"


def event(f: Facts) -> str:
    """What came about, as a noun."""
    if f.contact:
        return f"water detected ({f.level.en})" if f.threshold else "a beacon perhaps under water"
    return f"{mark(f)} exceeded"


_PLAIN = {
    Said.REACHED: "the city's mark ({level}) is reached",
    Said.SURGE: "above {mark}, and the sea stands higher than the tide explains",
    Said.BEACON: "the beacon went silent while its router is heard, it may be under water",
    Said.ABOVE_SPAN: "above what the gauge can measure, perhaps above {mark}",
    Said.REFUTED: "'{event}' not borne out by later observations, still watched",
    Said.SILENT: "silent, no data arrive",
    Said.FAULTY: "faulty, the gauge gives no value",
    Said.FAST_FALL: "falling faster than it plausibly can: a breach, or the gauge is faulty",
    Said.THRESHOLDS: "its thresholds were revised, still watched",
    Said.CONFIRMED: "{event}, confirmed by staff",
    Said.REJECTED: "'{event}' was a false alarm",
    Said.DRILL_OVER: "the drill has ended",
}
_MEANS = {
    Said.ABOVE_SPAN: f"The water may be higher than shown. {_LOOK}",
    Said.BEACON: f"It may also be a fault. {_LOOK}",
    Said.HELD: f"The present {{noun}} is unknown. {_LOOK}",
    Said.HELD_BELOW: f"The present {{noun}} is unknown. {_LOOK}",
    Said.SILENT: "The present {noun} is unknown.",
    Said.FAULTY: "The present {noun} is unknown.",
    Said.FAST_FALL: f"{{level}} is still watched. {_LOOK}",
    Said.PAST: "An observation of the past that arrived late, not the {noun} now.",
    Said.THRESHOLDS: "The water has not moved.",
    Said.REJECTED: "The message above is withdrawn. The station is still watched.",
}


def todo(f: Facts) -> str:
    """What it means for whoever reads it."""
    if f.t.drill:
        return "This is a drill, not the real water level."
    if f.station.hazard == "underpass" and f.said in RISES and f.t.to_rank >= 3:
        return "Closing the road is decided and done by its manager."
    if f.said in RISES and not f.t.confirmed and f.said not in _MEANS:
        return f"The gauge may be wrong. {_LOOK}"
    said = _MEANS.get(f.said, "").format(level=f.level.en, noun=_noun(f))
    return said[:1].upper() + said[1:]


def _rank(f: Facts) -> str:
    if (
        f.said not in (*RISES, Said.HELD, Said.HELD_BELOW, Said.FAST_FALL, Said.CONFIRMED, Said.PAST)
        or f.concerned == 0
    ):
        return ""
    if f.equivalent:
        return f"equivalent to alert level {f.concerned}"
    return "standby" if f.concerned == 1 else f"{f.concerned} of 5"


def quantity(f: Facts) -> str:
    """What the value is."""
    if f.contact and f.said not in LOST:
        return "Sensor"
    if f.said in (*LOST, *BY_PEOPLE):
        return "What the gauge shows" if f.said is Said.REJECTED else "Last value"
    if f.t.of_step and f.step is not None:
        return f"Rain, {_SUMS[f.step.of]},"
    return _noun(f).capitalize()


def _noun(f: Facts) -> str:
    """What is measured there."""
    if f.channel is None or f.channel.quantity == "water_level":
        return "tide" if f.station.hazard == "tide" else "level"
    return {"rain": "rain", "tide_deviation": "deviation of the tide", "contact": "state"}.get(
        f.channel.quantity, "value"
    )


def _value(f: Facts) -> str:
    if f.t.drill:
        return ""
    said = _of_channel(f, f.value)
    if f.contact:
        return said
    if said and f.said is Said.ABOVE_SPAN:
        return f"{said} or more"
    if f.t.marks:  # of a sum of rain
        said = f"at least {said} (data are missing)" if "incomplete" in f.t.marks else said
        return said + (" (gauge out of verification)" if "unverified" in f.t.marks else "")
    return said or ("" if f.said in (*BY_PEOPLE, Said.BEACON) else "unknown")


def _of_channel(f: Facts, value: float | None) -> str:
    if f.contact:
        return "" if value is None else "wet" if value else "dry"
    return amount(value, f.unit)


def trend(per_hour: float | None, unit: str) -> str:
    if per_hour is None:
        return ""
    if abs(per_hour) <= 0.02:
        return "→ steady"
    return f"{arrow(per_hour)} {per_hour:+z.2f} {unit} in an hour"


def _time(f: Facts) -> str:
    if f.measured_ms is None:
        return "" if f.said in BY_PEOPLE else "at an unknown time"
    return time(f.measured_ms)


def _measured(f: Facts) -> str:
    if f.t.drill:
        return "Ended" if f.said is Said.DRILL_OVER else "Assumed"
    return "Last heard" if f.said is Said.BEACON else "Last measured" if f.said in LOST else "Measured"


def _brief(f: Facts) -> str:
    """The value and its time, for a subject."""
    value = _value(f)
    if f.original is not None:
        return f"withdraws the message sent at {clock(f.original.told_ms)}"
    if f.t.drill or f.said in BY_PEOPLE or not f.value or f.measured_ms is None or f.said is Said.THRESHOLDS:
        return ""
    if f.said in LOST:
        return f"last {value}"
    going = arrow(f.per_hour)
    if f.since is not None:
        latest, _, per_hour = f.since
        return f"{value} at {clock(f.measured_ms)}, now {amount(latest, f.unit)} {arrow(per_hour)}".rstrip()
    return f"{value}{going and f' {going}'} at {clock(f.measured_ms)}"


def _by(f: Facts) -> str:
    """Who judged, on what, and when."""
    c = f.course
    if f.said not in BY_PEOPLE or f.t.drill or not c.judged_by:
        return ""
    return f"{c.judged_by}{f', {_BASES[c.basis]}' if c.basis in _BASES else ''}, {time(f.t.at_ms)}"


def _withdrawn(f: Facts) -> str:
    """What the notification said that is taken back, and when it was sent."""
    x = f.original
    if x is None:
        return ""
    value = _of_channel(f, x.value)
    seen = f"{f', {value}' if value else ''}, measured {clock(x.at_ms)}"
    return f"of {time(x.told_ms)}: '{'' if x.confirmed else 'unconfirmed, '}{event(f)}'{seen}"


def _now(f: Facts) -> str:
    """What is measured at the time of telling, where that is later."""
    if f.since is None:
        return ""
    value, at_ms, per_hour = f.since
    going = trend(per_hour, f.unit)
    return f"{amount(value, f.unit)} (measured {clock(at_ms)}{f', {going}' if going else ''})"


def _minutes(minutes: float) -> str:
    """Five minutes are the finest that an aid is good for."""
    hours, rest = divmod(max(5, round(minutes / 5) * 5), 60)
    return " ".join(x for x in (f"{hours} h" * bool(hours), f"{rest} min" * bool(rest)) if x)


def _next(f: Facts) -> str:
    found = f.next()
    if found is None:
        return ""
    level, mark, minutes = found
    return f"{level.en} {mark.value:z.2f} m in about {_minutes(minutes)}"


def _tide(f: Facts) -> str:
    found = f.tide()
    if found is None:
        return ""
    deviation, high = found
    after = f", next high water {clock(high.at_ms)} ({high.level:z.2f} m predicted)" if high else ""
    return f"{deviation:+z.2f} m{after}"


def _step(f: Facts) -> dict[str, str]:
    """Of a step of rain its amount, who set it and where that stands."""
    x = f.step if f.said is Said.STEP else None
    if x is None:
        return {}
    said = {
        "threshold": f"{x.name_en} {amount(x.value, f.unit)}",
        "authority": _AUTHORITIES.get(x.authority, x.authority),
        "basis": x.source,
    }
    return {word: value for word, value in said.items() if value}


def fields(f: Facts) -> dict[str, str]:
    """The words of a template, each empty where there is nothing to say."""
    own = figures(f)
    words = {
        "place": f.station.name_en,
        "what": what(f),
        "level": f.level.en if f.concerned else "",
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
        "threshold": own["threshold"] and f"{f.level.en} {own['threshold']}",
        "authority": _AUTHORITIES.get(own["authority"], own["authority"]),
        "basis": _KINDS.get(own["basis"], own["basis"]),
        "next": _next(f),
        "tide": _tide(f),
    }
    return own | words | _step(f)

"""What lies behind the board of the page's tests: a station with its series, what was told, devices, letters."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from tests.pagenight import TENANT, ago, episode, iso, named, night, outlines, station

Json = dict[str, Any]
MINUTE_MS = 60_000


def threshold(rank: int, value: float) -> Json:
    name = named(rank)
    return {
        "level": name["key"], "rank": rank, "value": value, "authority": "市独自", "basis": "市の目安",
        "source": "水防計画 2026-05", "valid_from": None, "valid_to": None, "ja": name["ja"], "en": name["en"],
    }  # fmt: skip


def channel(name: str, quantity: str, unit: str, *thresholds: Json, derived: str | None = None) -> Json:
    return {
        "channel": name, "quantity": quantity, "unit": unit, "internal": False, "contact": False, "derived": derived,
        "watched": bool(thresholds), "interval_s": 600.0, "thresholds": list(thresholds),
    }  # fmt: skip


def kasuga() -> Json:
    row = night()["stations"][0]
    level = channel("water_level", "water_level", "m", threshold(2, 1.9), threshold(3, 2.4), threshold(4, 2.8))
    return {
        "tenant": TENANT, "station": row["station"], "name": row["name"], "latitude": row["latitude"],
        "longitude": row["longitude"], "datum": "T.P.", "gauge_zero": 1.2, "hazard": "river", "river": row["river"],
        "area": row["area"], "device": "kasuga-01", "now": row,
        "channels": [level, channel("rain_10min", "rain", "mm", derived="rain")],
        "links": [{"ja": "川の防災情報", "en": "River information", "url": "https://www.river.go.jp/"}],
    }  # fmt: skip


def toudai() -> Json:
    """A gauge that died at the crest an hour ago."""
    row = night()["stations"][1]
    return kasuga() | {"station": row["station"], "name": row["name"], "device": "toudai-01", "now": row, "links": []}


def port() -> Json:
    """A tidal gauge: the astronomical tide follows from the deviation."""
    row = night()["stations"][8]
    return kasuga() | {
        "station": row["station"], "name": row["name"], "hazard": "tide", "device": "port-01", "now": row, "links": [],
        "channels": [channel("water_level", "water_level", "m", threshold(2, 2.4)),
                     channel("deviation", "tide_deviation", "m", derived="water_level")],
    }  # fmt: skip


def _at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def level_at(at_ms: int) -> float:
    """A flood that rises over six hours to now."""
    hours = (_at(ago(0)) - at_ms) / 3_600_000
    return 0.8 + 2.62 * math.exp(-((hours / 4.2) ** 2)) + 0.03 * math.sin(hours * 7)


def tide_at(at_ms: int) -> float:
    return 0.9 + 0.6 * math.sin(at_ms / 44_700_000 * 2 * math.pi)


def series(query: dict[str, str], unit: str = "m", kind: str = "level") -> Json:
    """A point each ten minutes, with an hour missing, a suspect one and one that failed."""
    from_ms, now_ms = _at(query["from"]), _at(ago(0))
    to_ms = min(_at(query["to"]), now_ms)
    step = max(10 * MINUTE_MS, (to_ms - from_ms) // int(query["points"]))
    missing = (now_ms - 10 * 3_600_000, now_ms - 9 * 3_600_000)
    points: list[list[float | int | None]] = []
    for n, at_ms in enumerate(range(from_ms - from_ms % step + step, to_ms, step)):
        if missing[0] < at_ms < missing[1] and kind in ("level", "dead"):
            continue
        if kind == "dead" and at_ms > now_ms - 62 * MINUTE_MS:
            continue
        makes = {"level": level_at, "dead": level_at, "tide": lambda x: tide_at(x) + 0.2, "deviation": lambda _: 0.2}
        rain = max(0.0, 9 * math.sin(at_ms / 9_000_000) ** 3)
        value = round(rain, 1) if kind == "rain" else round(makes[kind](at_ms), 3)
        flag = 3 if n % 37 == 36 else 4 if n % 53 == 52 else 1
        points.append([at_ms, None if flag == 4 else value, flag, value - 0.02, value + 0.02])
    gaps = [[missing[0], missing[1], "silent"]] if kind in ("level", "dead") and missing[0] > from_ms else []
    return {"from": query["from"], "to": query["to"], "quantity": "water_level", "unit": unit, "resolution_ms": step,
            "oldest": ago(60 * 24 * 40), "history": False, "points": points, "gaps": gaps}  # fmt: skip


def observations(query: dict[str, str]) -> Json:
    """The newest of the series one by one, the newest first: the sensor gives its distance from the bridge in mm."""
    shown = series(query | {"points": "4000"})
    rows = [_observation(at_ms, flag) for at_ms, _, flag, *_ in reversed(shown["points"])]
    return {"unit": "m", "observations": rows[: int(query["limit"])], "next": None}


def _observation(at_ms: int, flag: int) -> Json:
    at = iso(datetime.fromtimestamp(at_ms / 1000, UTC))
    value = round(level_at(at_ms), 3) + (4.0 if flag == 4 else 0.0)
    said = {3: ["spike"], 4: ["gross_range"]}.get(flag, [])
    return {"observed": at, "received": at, "value": value, "raw": round(6000 - 1000 * value), "flag": flag,
            "flag_when_received": 1, "fault": None, "tests": said}  # fmt: skip


def told() -> Json:
    row = night()["stations"][0]
    return {
        "version": 1,
        "episode": episode(row, 2) | {"closed": None},
        "changes": [
            {"at": ago(65), "channel": "water_level", "change": "rise", "from_rank": 2, "to_rank": 3, "value": 2.41,
             "unit": "m", "confirmed": True, "rings": True},
            {"at": ago(2), "channel": "water_level", "change": "rise", "from_rank": 3, "to_rank": 4, "value": 2.82,
             "unit": "m", "confirmed": True, "rings": True},
        ],
        "notified": [
            {"key": "k1", "medium": "voice", "recipient": "voice:+8187", "name": "山田", "state": "sent", "attempts": 1,
             "reason": None, "owed": ago(2), "done": ago(1.8), "next": None, "again": 0},
            {"key": "k2", "medium": "mail", "recipient": "mail:x", "name": "佐藤", "state": "owed", "attempts": 3,
             "reason": "timeout", "owed": ago(2), "done": None, "next": ago(-1), "again": 0},
        ],
        "told": [],
    }  # fmt: skip


def journal() -> Json:
    def row(number: int, minutes: float, kind: str, words: str, ja: str, by: str = "") -> Json:
        return {"number": number, "at": ago(minutes), "recorded": ago(minutes), "kind": kind, "tenant": TENANT,
                "kind_name": {"ja": words, "en": kind}, "station": "kasuga-bridge", "episode": "", "by": by,
                "text": {"ja": ja, "en": kind}, "corrected_by": None, "what": None}  # fmt: skip

    return {"rows": [
        row(1, 65, "transition", "観測", "避難判断水位を超過 2.41 m"),
        row(2, 60, "acknowledged", "受信確認", "受信を確認", "山田"),
        row(3, 37, "manual", "発令（市長）", "高齢者等避難　北部地区", "佐藤") | {"corrected_by": 4},
        row(4, 35, "manual", "発令（市長）", "高齢者等避難　北部・中部地区", "佐藤") | {"recorded": ago(30)},
        row(5, 2, "transition", "観測", "氾濫危険水位を超過 2.82 m"),
    ]}  # fmt: skip


def devices() -> Json:
    def device(name: str, state: str, gone: int, held: int, clock: float, hours: float | None) -> Json:
        stored = 10_000
        assigned = stored + gone + held
        return {"tenant": TENANT, "device": name, "stations": [name[:-3]], "state": state, "accounted": True,
                "agent": "0.2.0", "delivery": "receipts", "newest": ago(2 if state == "online" else 95),
                "statement": ago(3), "completeness": stored / assigned,
                "samples": {"assigned": assigned, "stored": stored, "rejected": 0, "gone": gone, "held": held,
                            "unknown": 0},
                "spool": {"used": 0.12, "hours": hours},
                "health": {"clock_offset": {"value": clock, "observed": ago(4)},
                           "battery_voltage": {"value": 12.4, "observed": ago(4)}}}  # fmt: skip

    return {
        "devices": [device("kasuga-01", "online", 0, 0, 0.02, 900.0), device("toudai-01", "offline", 3, 84, 41.0, 30.0)]
    }


def letters() -> Json:
    letter = {"number": 7, "tenant": TENANT, "device": "kasuga-01", "topic": "t", "code": "wrong_unit",
              "meaning": "the unit cannot be converted to the channel's", "detail": "'feet'", "received": ago(50),
              "count": 3, "bytes": 80, "log": "", "seq": None}  # fmt: skip
    return {"codes": {"wrong_unit": 3}, "letters": [letter]}


def health() -> Json:
    return {
        "bridge": {"running": True, "received": ago(0.1)},
        "influx": {"behind": 12},
        "orion": {"waiting": 2, "since": ago(30), "reason": "503 busy", "answered": ago(30), "refused": {"422": 3}},
        "store": {"bytes": 412_000_000, "ceiling": 10_000_000_000},
        "media": [{"medium": "mail", "owed": 1, "oldest": ago(2), "attempts": 3, "reason": "timeout"}],
        "notices": [{"code": "no_data", "tenant": "", "device": "", "detail": "no message", "since": ago(9)}],
    }


def moving() -> Json:
    """A patrol car."""
    facts = {
        "tenant": TENANT,
        "station": "car-1",
        "name": {"ja": "パトロール1号", "en": "Patrol 1"},
        "observed": ago(3),
    }
    point = {"type": "Point", "coordinates": [134.05, 34.32]}
    feature = {"type": "Feature", "id": f"{TENANT}/car-1", "geometry": point, "properties": facts}
    return {"type": "FeatureCollection", "features": [feature]}


def answers() -> Json:
    """By the path below api/v1."""
    place, tidal = f"stations/{TENANT}/kasuga-bridge", f"stations/{TENANT}/port"
    rain = f"stations/{TENANT}/kita/channels/rain_1h/series"
    closed = episode(station("kasuga-bridge", "春日橋", "Kasuga Bridge", "春日川", (0, 0), rank=3), 3000)
    closed |= {"episode": "kasuga-bridge-0", "closed": ago(2500), "acknowledged": {"by": "山田", "at": ago(2900)}}
    return {
        "outlines": outlines(),
        place: kasuga(),
        f"stations/{TENANT}/toudai-bridge": toudai(),
        f"stations/{TENANT}/toudai-bridge/channels/water_level/series": lambda q: series(q, "m", "dead"),
        f"stations/{TENANT}/toudai-bridge/channels/rain_10min/series": lambda q: series(q, "mm", "rain"),
        f"episodes/{TENANT}/toudai-bridge-1": told(),
        tidal: port(),
        f"{place}/channels/water_level/series": series,
        f"{place}/channels/water_level/observations": observations,
        f"{place}/channels/rain_10min/series": lambda q: series(q, "mm", "rain"),
        f"{tidal}/channels/water_level/series": lambda q: series(q, "m", "tide"),
        f"{tidal}/channels/deviation/series": lambda q: series(q, "m", "deviation"),
        rain: lambda q: series(q, "mm", "rain"),
        "episodes": {"episodes": [closed], "next": None},
        f"episodes/{TENANT}/kasuga-bridge-1": told(),
        f"episodes/{TENANT}/kasuga-bridge-0": told(),
        f"episodes/{TENANT}/cause-1": told() | {"notified": [], "changes": []},
        "journal": journal(),
        "devices": devices(),
        "letters": letters(),
        "letters/7": letters()["letters"][0] | {"remedy": "correct the unit", "payload": '[{"u":"feet"}]'},
        "health": health(),
        "moving.geojson": moving(),
    }

"""A night as the interface tells it: the configuration and the board that the page's tests and pictures show."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from gateway import levelfile, yamlfile
from gateway.stations import Level, LevelTable
from tests import readme

Json = dict[str, Any]
TENANT = "takamatsu"
RIVERS = ["春日川", "詰田川", "御坊川", "香東川", "新川", "本津川"]
AREAS = ["北部", "中部", "南部"]


def iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ago(minutes: float) -> str:
    return iso(datetime.now(UTC) - timedelta(minutes=minutes))


@cache
def levels() -> list[Json]:
    return [_level(x) for x in _table().levels]


def _table() -> LevelTable:
    return levelfile.tables(yamlfile.read(readme.ROOT / "gateway" / "levels.yaml", "levels.yaml"))["jp-2026"]


def _level(x: Level) -> Json:
    return {"rank": x.rank, "key": x.key, "ja": x.ja, "en": x.en, "short_ja": x.short_ja, "short_en": x.short_en,
            "colour": x.colour, "text": x.text, "shape": x.shape,
            "exceeded_ja": x.exceeded_ja or x.ja, "exceeded_en": x.exceeded_en or x.en}  # fmt: skip


def named(rank: int) -> Json:
    x = next(x for x in levels() if x["rank"] == rank)
    return {"key": x["key"], "ja": x["ja"], "en": x["en"]}


def config(**more: object) -> Json:
    return {
        "title": {"ja": "水位監視　高松地区", "en": "Flood watch Takamatsu"},
        "tiles": None,
        "levels": levels(),
        "centre": [34.31, 134.06],
        "zoom": 12,
        "you": {"name": "当番", "role": "operator", "via": "loopback"},
        "login": {"password": True, "oidc": False},
        "demo": False,
        "staff": True,
        **more,
    }


def station(name: str, ja: str, en: str, river: str, at: tuple[float, float], **more: object) -> Json:
    """A row of the board: calm and fresh unless told otherwise. `rank` sets level and thresholds."""
    rank = max(int(str(more.get("rank", 0))), int(str(more.get("unconfirmed", 0))))
    value = float(str(more.pop("value", 0.9)))
    late = float(str(more.pop("minutes", 2)))
    above = next((r for r in (2, 3, 4, 5) if r > rank), None)
    row: Json = {
        "tenant": TENANT, "station": name, "name": {"ja": ja, "en": en}, "river": river, "area": "北部",
        "hazard": "river", "latitude": at[0], "longitude": at[1], "channel": "water_level", "quantity": "water_level",
        "unit": "m", "value": value, "observed": ago(late), "rank": 0, "unconfirmed": 0, "held": False,
        "condition": "fresh", "late_after_s": 900, "flag": 1, "level": named(rank),
        "next": {**named(above), "rank": above, "value": value + 0.38, "distance": 0.38} if above else None,
        "over": {**named(rank), "rank": rank, "value": value - 0.62, "distance": -0.62} if rank else None,
        "change_10min": 0.02, "change_1h": 0.10, "rate_per_h": 0.10, "trend": "up", "minutes_to_next": None,
        "acknowledged": False, "episode": None, "muted_until": None, "links": [], "blind": [], "fault": None,
        "waiting": False, "contact": False, "falling_fast": False,
    }  # fmt: skip
    return row | more


def episode(row: Json, minutes: float, **more: object) -> Json:
    """An episode as `suimon alert list --json` gives it, rung and not acknowledged unless told otherwise."""
    rank = max(row["rank"], row["unconfirmed"])
    level = next(x for x in levels() if x["rank"] == rank)
    base: Json = {
        "episode": f"{row['station']}-1", "kind": "station", "drill": False, "tenant": TENANT,
        "station": row["station"], "name": row["name"], "cause": None, "since": ago(minutes), "rank": row["rank"],
        "unconfirmed": row["unconfirmed"] if row["unconfirmed"] > row["rank"] else 0, "highest": rank,
        "level": {**row["level"], "exceeded_ja": level["exceeded_ja"]}, "steps": [], "channel": "water_level",
        "value": row["value"], "unit": row["unit"], "measured": row["observed"], "condition": row["condition"],
        "held": row["held"], "contact": None, "acknowledged": None, "judgement": None,
        "calling": {"rank": rank, "active": True, "since": ago(minutes), "round": 1,
                    "role": {"id": "duty", "ja": "宿直", "en": "duty officer"}, "recipients": []},
        "told": 12, "muted_until": None,
    }  # fmt: skip
    return base | more


def common(names: list[str], minutes: float) -> Json:
    """Many silences of one cause."""
    e = episode(station("x", "x", "x", "", (0, 0)), minutes)
    return e | {"episode": "cause-1", "kind": "cause", "name": None, "station": "", "level": None, "value": None,
                "cause": {"group": "南部の回線", "stations": names}, "condition": "silent"}  # fmt: skip


def bulletin(minutes: float, ja: str, **more: object) -> Json:
    """One that was received, unless told otherwise."""
    return {"number": round(minutes), "at": ago(minutes), "kind": "bulletin", "ja": ja, "headline": "", "by": "気象庁",
            "tenant": TENANT, "station": "", "source": "received", "drill": False, "over": False, **more}  # fmt: skip


def board(stations: list[Json], episodes: list[Json], **more: object) -> Json:
    now = datetime.now(UTC)
    return {
        "version": 1,
        "now": iso(now),
        "position": str(int(now.timestamp() * 1000)),
        "bridge": {"running": True, "committed": iso(now)},
        "drill": False,
        "stations": stations,
        "episodes": episodes,
        "bulletins": [
            bulletin(
                42, "レベル３氾濫警報　春日川", by="国土交通省　気象庁", headline="【警戒レベル３相当】春日川では…"
            ),
            bulletin(37, "高齢者等避難　北部地区", by="市長", kind="order", source="entered"),
            bulletin(95, "大雨警報（解除）　高松市", by="高松地方気象台", over=True),
        ],
        "feed": {"heard": ago(1), "unheard": False, "reason": None},
        "suspensions": [],
        **more,
    }


def night() -> Json:
    """Twelve stations, each another state; three episodes wait and one is under way."""
    kasuga = station("kasuga-bridge", "春日橋", "Kasuga Bridge", "春日川", (34.330, 134.085), rank=4, value=3.42,
                     change_10min=0.06, change_1h=0.31, rate_per_h=0.31, minutes_to_next=75, next=None)  # fmt: skip
    toudai = station("toudai-bridge", "陶大橋", "Toudai Bridge", "香東川", (34.300, 134.035), rank=4, value=3.10,
                     held=True, condition="faulty", minutes=62, trend=None, rate_per_h=None)  # fmt: skip
    gobo = station(
        "gobo-bridge", "御坊橋", "Gobo Bridge", "御坊川", (34.318, 134.060), unconfirmed=4, value=2.71, flag=3
    )
    stations = [
        kasuga,
        toudai,
        gobo,
        station("tsumeta-bridge", "詰田川橋", "Tsumeta Bridge", "詰田川", (34.338, 134.070), rank=2, value=1.92,
                minutes=4, minutes_to_next=40),
        station("shinkawa", "新川橋", "Shinkawa Bridge", "新川", (34.322, 134.110), rank=3, value=2.30, unconfirmed=3),
        station("oomatoba", "大的場アンダー", "Omatoba Underpass", "詰田川", (34.345, 134.045), hazard="underpass",
                condition="silent", minutes=12, unit="/", value=0, level=None),
        station("honzu", "本津橋", "Honzu Bridge", "本津川", (34.325, 134.000), condition="unknown", minutes=190,
                level=None),
        station("koto-upper", "香東川上流", "Koto Upper", "香東川", (34.270, 134.020), condition="faulty", minutes=33,
                level=None),
        station("port", "高松港", "Takamatsu Port", "高松港", (34.353, 134.050), hazard="tide", value=1.12,
                change_10min=-0.03, change_1h=-0.18, rate_per_h=-0.18, trend="down"),
        station("kita", "北部雨量", "North rain", "北部", (34.340, 134.090), hazard="rain", unit="mm", value=12.5,
                quantity="rain", channel="rain_1h", next=None, change_10min=None, change_1h=None, trend=None),
        station("minami", "南川橋", "Minami Bridge", "春日川", (34.290, 134.095), rank=1, value=1.30, condition="late",
                minutes=19),
        station("yashima", "屋島橋", "Yashima Bridge", "新川", (34.340, 134.118), condition="maintenance", level=None),
    ]  # fmt: skip
    seen = {"by": "山田", "at": ago(20)}
    episodes = [
        episode(kasuga, 2),
        episode(toudai, 60, calling={"rank": 4, "active": False, "since": ago(60), "round": 3,
                                     "role": {"id": "duty", "ja": "宿直", "en": "duty officer"}, "recipients": []}),
        episode(gobo, 9),
        episode(stations[4], 30, acknowledged=seen, calling=None),
        common(["oomatoba", "honzu"], 11),
    ]  # fmt: skip
    return board(stations, episodes)


def storm(many: int = 120, silent: int = 40) -> Json:
    """A city in a storm: many stations, a third of them silent."""
    rng = random.Random(7)
    rows = list(night()["stations"])
    for n in range(many - len(rows)):
        at = (34.25 + rng.random() * 0.12, 133.98 + rng.random() * 0.16)
        river = RIVERS[n % len(RIVERS)]
        more: Json = {"value": round(0.4 + rng.random() * 1.2, 2)}
        if n < silent:
            more |= {"condition": "silent", "minutes": 20 + n, "level": None, "trend": None}
        elif n < silent + 14:
            more |= {"rank": 2 if n % 3 else 3, "value": round(1.8 + rng.random(), 2)}
        rows.append(station(f"s{n}", f"{river}{n + 1}号", f"{river} no. {n + 1}", river, at, **more))
    episodes = night()["episodes"]
    return board(rows, episodes)


def outlines() -> Json:
    """Two rivers and an area."""
    rivers = [
        ("春日川", [[134.10, 34.25], [134.095, 34.29], [134.085, 34.33], [134.09, 34.35]]),
        ("香東川", [[134.01, 34.24], [134.02, 34.27], [134.035, 34.30], [134.03, 34.35]]),
    ]
    area = [[[133.98, 34.24], [134.14, 34.24], [134.14, 34.36], [133.98, 34.36], [133.98, 34.24]]]
    return {
        "type": "FeatureCollection",
        "features": [
            *({"type": "Feature", "properties": {"name": name}, "geometry": {"type": "LineString", "coordinates": line}}
              for name, line in rivers),
            {"type": "Feature", "properties": {"name": "高松市"}, "geometry": {"type": "Polygon", "coordinates": area}},
        ],
    }  # fmt: skip

"""The geographic relations of NGSI-LD (ETSI GS CIM 009, clause 4.10, after OGC Simple Features) between places that are
points and a geometry that is asked for. Pure; on the plane of longitude and latitude, near on the sphere."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal, cast

from gateway.ngsiquery import BadQuery

Point = tuple[float, float]  # longitude, latitude
Where = Literal["inside", "edge", "outside"]
Geometry = Callable[[Point], Where]

MAX_POINTS = 2000
NEARLY = 1e-9  # degrees, a tenth of a millimetre: what lies on a line, after rounding
RELATIONS = ("within", "contains", "intersects", "equals", "disjoint", "overlaps")
_NEAR = re.compile(r"near;(maxDistance|minDistance)==(\d+(?:\.\d+)?(?:[eE]\d{1,2})?)")
_DEPTHS = {"Point": 0, "MultiPoint": 1, "LineString": 1, "MultiLineString": 2, "Polygon": 2, "MultiPolygon": 3}


def relation(georel: str, geometry: str, coordinates: str) -> Callable[[Point], bool]:
    """Whether a place is where it is asked for. Raises BadQuery."""
    if geometry not in _DEPTHS:
        raise BadQuery(f"geometry is {', '.join(_DEPTHS)}")
    told = _coordinates(geometry, coordinates)
    if near := _NEAR.fullmatch(georel):
        if geometry != "Point":
            raise BadQuery("near is asked with geometry=Point")
        metres, most, at = float(near[2]), near[1] == "maxDistance", cast("Point", told)
        return lambda p: (distance_m(at[1], at[0], p[1], p[0]) <= metres) == most
    if georel not in RELATIONS:
        names = ", ".join(RELATIONS)
        raise BadQuery(f"georel is near;maxDistance==METRES, near;minDistance==METRES, {names}")
    where = _of(geometry, told)
    single = geometry == "Point"
    return {
        "within": lambda p: where(p) == "inside",
        "intersects": lambda p: where(p) != "outside",
        "disjoint": lambda p: where(p) == "outside",
        "equals": lambda p: single and where(p) == "inside",
        "contains": lambda p: single and where(p) == "inside",  # of a point: only itself
        "overlaps": lambda _: False,  # a point shares a part of nothing without being within it
    }[georel]


def _coordinates(geometry: str, text: str) -> Any:
    """As tuples, with as many brackets as that geometry has. Raises BadQuery."""
    try:
        told = json.loads(text, parse_constant=_no_number)
        count = [0]
        found = _nested(told, _DEPTHS[geometry], count)
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise BadQuery(f"coordinates of a {geometry} are those of GeoJSON, like {_EXAMPLES[geometry]}") from None
    for ring in _rings(geometry, found):
        if len(ring) < 4 or ring[0] != ring[-1]:
            raise BadQuery("a ring of a polygon has at least four points, the last is the first")
    return found


_EXAMPLES = {
    "Point": "[134.07,34.33]",
    "MultiPoint": "[[134.07,34.33],[134.08,34.34]]",
    "LineString": "[[134.07,34.33],[134.08,34.34]]",
    "MultiLineString": "[[[134.07,34.33],[134.08,34.34]]]",
    "Polygon": "[[[134,34],[135,34],[135,35],[134,34]]]",
    "MultiPolygon": "[[[[134,34],[135,34],[135,35],[134,34]]]]",
}


def _no_number(_: str) -> float:
    raise ValueError


def _nested(told: Any, depth: int, count: list[int]) -> Any:
    if depth:
        if not isinstance(told, list) or not told:
            raise ValueError
        return tuple(_nested(x, depth - 1, count) for x in told)
    longitude, latitude, *_ = told  # a height stands behind them, if any
    if isinstance(longitude, bool | str) or isinstance(latitude, bool | str):
        raise TypeError
    count[0] += 1
    if count[0] > MAX_POINTS:
        raise BadQuery(f"a geometry holds at most {MAX_POINTS} points")
    if not (abs(longitude) <= 180 and abs(latitude) <= 90):
        raise BadQuery("a longitude lies within 180, a latitude within 90 degrees")
    return float(longitude), float(latitude)


def _rings(geometry: str, told: Any) -> list[Sequence[Point]]:
    if geometry == "Polygon":
        return list(told)
    return [ring for polygon in told for ring in polygon] if geometry == "MultiPolygon" else []


def _of(geometry: str, told: Any) -> Geometry:
    match geometry:
        case "Point":
            return lambda p: "inside" if p == told else "outside"
        case "MultiPoint":
            return lambda p: "inside" if p in told else "outside"
        case "LineString":
            return lambda p: _line(told, p)
        case "MultiLineString":
            return lambda p: _best(_line(line, p) for line in told)
        case "Polygon":
            return lambda p: _polygon(told, p)
        case _:
            return lambda p: _best(_polygon(polygon, p) for polygon in told)


def _best(found: Any) -> Where:
    return min(found, key=("inside", "edge", "outside").index)


def _line(line: Sequence[Point], p: Point) -> Where:
    """The ends of a line that is not closed are its edge."""
    if not any(_on(a, b, p) for a, b in itertools.pairwise(line)):
        return "outside"
    return "edge" if line[0] != line[-1] and p in (line[0], line[-1]) else "inside"


def _polygon(rings: Sequence[Sequence[Point]], p: Point) -> Where:
    """The first ring is its outline, the others are holes."""
    if any(_on(a, b, p) for ring in rings for a, b in itertools.pairwise(ring)):
        return "edge"
    outline, *holes = rings
    return "inside" if _round(outline, p) and not any(_round(hole, p) for hole in holes) else "outside"


def _on(a: Point, b: Point, p: Point) -> bool:
    """On the way from a to b."""
    (ax, ay), (bx, by), (x, y) = a, b, p
    length = math.hypot(bx - ax, by - ay)
    if length < NEARLY:
        return math.hypot(x - ax, y - ay) <= NEARLY
    along = ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length
    aside = ((x - ax) * (by - ay) - (y - ay) * (bx - ax)) / length
    return abs(aside) <= NEARLY and -NEARLY <= along <= length + NEARLY


def _round(ring: Sequence[Point], p: Point) -> bool:
    """Whether a way from there to the east crosses the ring an odd number of times."""
    x, y = p
    crossed = False
    for (ax, ay), (bx, by) in itertools.pairwise(ring):
        if (ay > y) != (by > y) and x < ax + (y - ay) * (bx - ax) / (by - ay):
            crossed = not crossed
    return crossed


def distance_m(lat_a: float, lon_a: float, lat_b: float, lon_b: float) -> float:
    """Great-circle distance (haversine) on a sphere of 6,371 km."""
    a, b = math.radians(lat_a), math.radians(lat_b)
    h = math.sin((b - a) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin(math.radians(lon_b - lon_a) / 2) ** 2
    return 2 * 6_371_000.0 * math.asin(min(1.0, math.sqrt(h)))

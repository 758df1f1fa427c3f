"""What NGSI-LD asks by: the query language, its patterns, and where things are."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import ngsigeo, ngsiquery
from gateway.ngsiquery import BadQuery, Pattern

GAUGE: dict[str, Any] = {
    "id": "urn:ngsi-ld:FloodMonitoring:takamatsu:kasuga",
    "currentLevel": {"type": "Property", "value": 3.0, "observedAt": "2025-11-24T18:00:00.000Z",
                     "flag": {"type": "Property", "value": 1}},
    "name": {"type": "Property", "value": "春日橋"},
    "status": {"type": "Property", "value": "fresh"},
    "held": {"type": "Property", "value": False},
    "dateObserved": {"type": "Property", "value": {"@type": "DateTime", "@value": "2025-11-24T18:00:00Z"}},
    "alertSource": {"type": "Relationship", "object": "urn:ngsi-ld:Device:a:b"},
    "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [134.07, 34.33]}},
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("currentLevel", True), ("nothing", False), ("currentLevel.flag", True), ("currentLevel.other", False),
        ("currentLevel==3", True), ("currentLevel==3.0", True), ("currentLevel!=3", False), ("currentLevel>2.5", True),
        ("currentLevel<=2.5", False), ("nothing!=3", False), ('currentLevel=="3"', False), ('currentLevel!="3"', True),
        ("held==false", True), ("held==true", False), ("held!=true", True), ("held==0", False),
        ("currentLevel==2..3", True), ("currentLevel==3.1..4", False), ("currentLevel!=2..3", False),
        ("currentLevel==1,3", True), ("currentLevel==1,2", False), ("currentLevel!=1,2", True),
        ('status=="late","fresh"', True), ("status==late,fresh", True), ('status=="a".."g"', True),
        ('dateObserved>=2025-11-25T03:00:00+09:00', True), ("dateObserved>2025-11-24T18:00:00Z", False),
        ("dateObserved==2025-11-24T00:00:00Z..2025-11-25T00:00:00Z", True),
        ("currentLevel.observedAt>2025-11-24T17:59:59Z", True), ("currentLevel.flag==1", True),
        ('location[type]=="Point"', True), ("location[coordinates]>134.5", False), ("location[nowhere]", False),
        ("alertSource==urn:ngsi-ld:Device:a:b", True), ('name~="^春.+橋$"', True), ('name~="川"', False),
        ('name!~="川"', True), ("nothing!~=x", False), ("currentLevel~=3", False), ("status~=fre.*", True),
        ("(currentLevel<1|status==fresh);held==false", True), ("currentLevel<1|status==fresh;held==true", False),
        ("currentLevel>1;(held==true|(status==late|status==fresh))", True),
        (" currentLevel > 1 ; held == false ", True),
        ('name=="a;b|c(d)"', False),
    ],
)  # fmt: skip
def test_the_query_language(text: str, fits: bool) -> None:
    """Every part of its grammar; what is not there fits nothing."""
    assert ngsiquery.query(text)(GAUGE) is fits


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "character 1"), ("a;", "character 3"), ("(a", ") is missing"), ("a)", "; or | is missing"),
        ("a==", "a value is missing"), ("a>1,2", "go with == and !="), ("a<1..2", "go with == and !="),
        ("a>true", "go with == and !="), ('a==1.."b"', "a range is"), ("a==true..false", "a range is"),
        ("a==1e999", "no number that fits"), ("a~=(x+)+", "a pattern is missing"), ('a~="(x+)+"', "is not done in"),
        ('a~="x{9}"', "is not done in"), ('a~="\\b"', "is not done in"), ("(" * 12 + "a" + ")" * 12, "brackets"),
        (";".join(["a"] * 51), "more than 50 terms"), ("a==" + ",".join(["1"] * 51), "more than 50 values"),
        ('a~="' + "x" * 201 + '"', "at most 200"), ("a.b.c.d.e.f.g", "; or | is missing"),
    ],
)  # fmt: skip
def test_what_is_refused_says_where(text: str, said: str) -> None:
    """A sentence for whoever asked."""
    with pytest.raises(BadQuery, match=re.escape(said)):
        ngsiquery.query(text)


ATOMS = st.sampled_from(["a", "b", "春", ".", "[ab]", "[^a]", "[a-c1]", "\\.", "\\d", "\\W"])
PATTERNS = st.builds(
    lambda begin, atoms, end: begin + "".join(a + s for a, s in atoms) + end,
    st.sampled_from(["", "^"]),
    st.lists(st.tuples(ATOMS, st.sampled_from(["", "*", "+", "?"])), max_size=8),
    st.sampled_from(["", "$"]),
)


@settings(max_examples=1500)
@given(PATTERNS, st.text("abc1.春", max_size=12))
def test_a_pattern_finds_what_a_regular_expression_finds(pattern: str, text: str) -> None:
    """Of those that it does."""
    assert Pattern(pattern).found(text) is bool(re.search(pattern, text, re.DOTALL | re.ASCII))


def test_no_pattern_runs_away() -> None:
    """Where one that goes back would never come to an end."""
    assert not Pattern("a*" * 60 + "b").found("a" * 5000)
    assert Pattern("a*" * 60 + "b").found("a" * 1000 + "b")


@settings(max_examples=500)
@given(st.text(max_size=60) | st.text('ab()|;=<>!~.,"[]01 ', max_size=40))
def test_any_text_is_a_query_or_a_sentence(text: str) -> None:
    """Nothing else comes of it."""
    try:
        found = ngsiquery.query(text)
    except BadQuery:
        return
    assert found(GAUGE) in (True, False)


def asked(georel: str, geometry: str, coordinates: str) -> bool:
    return ngsigeo.relation(georel, geometry, coordinates)((134.07, 34.33))


AROUND = "[[134,34],[135,34],[135,35],[134,35],[134,34]]"
HOLE = "[[134.05,34.3],[134.1,34.3],[134.1,34.4],[134.05,34.4],[134.05,34.3]]"
BESIDE = "[[136,34],[137,34],[137,35],[136,35],[136,34]]"
EDGE = "[[134.07,34],[135,34],[135,35],[134.07,35],[134.07,34]]"


@pytest.mark.parametrize(
    ("georel", "geometry", "coordinates", "is_there"),
    [
        ("within", "Polygon", f"[{AROUND}]", True), ("within", "Polygon", f"[{BESIDE}]", False),
        ("within", "Polygon", f"[{AROUND},{HOLE}]", False), ("disjoint", "Polygon", f"[{AROUND},{HOLE}]", True),
        ("within", "Polygon", f"[{EDGE}]", False), ("intersects", "Polygon", f"[{EDGE}]", True),
        ("intersects", "Polygon", f"[{BESIDE}]", False), ("disjoint", "Polygon", f"[{BESIDE}]", True),
        ("within", "MultiPolygon", f"[[{BESIDE}],[{AROUND}]]", True), ("overlaps", "Polygon", f"[{AROUND}]", False),
        ("intersects", "LineString", "[[134.06,34.33],[134.08,34.33]]", True),
        ("within", "LineString", "[[134.06,34.33],[134.08,34.33]]", True),
        ("within", "LineString", "[[134.07,34.33],[134.08,34.33]]", False),
        ("intersects", "LineString", "[[134.07,34.33],[134.08,34.33]]", True),
        ("intersects", "MultiLineString", "[[[1,1],[2,2]],[[134,34.26],[134.14,34.4]]]", True),
        ("equals", "Point", "[134.07,34.33]", True), ("equals", "Point", "[134.07,34.34]", False),
        ("contains", "Point", "[134.07,34.33,5]", True), ("equals", "Polygon", f"[{AROUND}]", False),
        ("within", "MultiPoint", "[[1,2],[134.07,34.33]]", True), ("disjoint", "MultiPoint", "[[1,2],[3,4]]", True),
        ("near;maxDistance==1200", "Point", "[134.08,34.335]", True),
        ("near;maxDistance==1000", "Point", "[134.08,34.335]", False),
        ("near;minDistance==1000", "Point", "[134.08,34.335]", True),
    ],
)  # fmt: skip
def test_where_a_place_is(georel: str, geometry: str, coordinates: str, is_there: bool) -> None:
    """Every relation, with every geometry that has points, a way or a face."""
    assert asked(georel, geometry, coordinates) is is_there


@pytest.mark.parametrize(
    ("georel", "geometry", "coordinates"),
    [
        ("within", "Circle", "[1,2]"), ("inside", "Point", "[1,2]"), ("near;maxDistance==5", "Polygon", f"[{AROUND}]"),
        ("near;maxDistance==-5", "Point", "[1,2]"), ("near;maxDistance==nan", "Point", "[1,2]"),
        ("near", "Point", "[1,2]"),
        ("within", "Polygon", AROUND), ("within", "Polygon", "[[[1,1],[2,2],[1,1]]]"), ("within", "Point", "[181,0]"),
        ("within", "Polygon", "[[[1,1],[2,2],[3,3],[4,4]]]"), ("within", "Point", "[NaN,1]"),
        ("within", "Point", "[1e999,1]"),
        ("within", "Point", "[true,1]"), ("within", "Point", '["1",1]'), ("within", "Point", "{}"),
        ("within", "Point", "1"),
        ("within", "MultiPoint", "[" * 3000), ("within", "MultiPoint", str([[1, 1]] * 2001)),
        ("within", "Polygon", "[[]]"),
        ("within", "Point", f"[1{'0' * 400},0]"), ("within", "LineString", ""),
    ],
)  # fmt: skip
def test_places_that_are_none(georel: str, geometry: str, coordinates: str) -> None:
    """Are told, and cost nothing."""
    with pytest.raises(BadQuery):
        asked(georel, geometry, coordinates)


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=3, max_size=3, unique=True),
    st.tuples(st.integers(-9, 9), st.integers(-9, 9)),
)
def test_a_triangle(corners: list[tuple[int, int]], p: tuple[int, int]) -> None:
    """By the sides on which it lies, in whole numbers."""
    (a, b, c) = corners
    side = [(v[0] - u[0]) * (p[1] - u[1]) - (v[1] - u[1]) * (p[0] - u[0]) for u, v in ((a, b), (b, c), (c, a))]
    area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    if area == 0:
        return  # three points on a line have no face
    inside = all(x > 0 for x in side) or all(x < 0 for x in side)
    touches = all(x >= 0 for x in side) or all(x <= 0 for x in side)
    ring = str([[list(x) for x in (*corners, a)]])
    for georel, expected in (("within", inside), ("intersects", touches), ("disjoint", not touches)):
        assert ngsigeo.relation(georel, "Polygon", ring)((float(p[0]), float(p[1]))) is expected

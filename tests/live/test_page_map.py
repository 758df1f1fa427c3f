"""The map in a real browser: what lies beneath what, which labels are written, and the way of the keyboard."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests import browser, pagenight, pageserver
from tests.pageserver import House

pytestmark = [pytest.mark.live, pytest.mark.slow]
Json = dict[str, Any]
Box = tuple[float, float, float, float]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser.chromium() as one:
        yield one


@pytest.fixture
def house() -> Iterator[House]:
    with pageserver.serve(pagenight.storm()) as one:
        yield one


@pytest.fixture
def page(chromium: Browser, house: House) -> Iterator[Page]:
    with browser.opened(chromium, house.url) as (one, complaints):
        one.wait_for_selector("#map .pin .label b")
        yield one
        assert complaints == []


def overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


FRAME = (0.0, 0.0, 400.0, 300.0)
BADGE = (36.0, 18.0)


def some_pins(rng: random.Random) -> list[Json]:
    """A city in 400 by 300 pixels, the most urgent first."""
    pins = [
        {"x": rng.uniform(-20, 420), "y": rng.uniform(-20, 320), "radius": rng.choice([17, 24]),
         "sizes": [[rng.uniform(20, 130), 16], [rng.uniform(20, 60), 16]][: rng.randrange(3)],
         "weight": weight, "calm": weight == 0 and rng.random() < 0.8}
        for weight in sorted((rng.choice([0, 0, 1, 2]) for _ in range(rng.randrange(90))), reverse=True)
    ]  # fmt: skip
    for pin in pins[1:]:
        if rng.random() < 0.1:  # two gauges on one pole
            pin |= {key: pins[0][key] for key in ("x", "y")}
    return pins


def written(pin: Json, found: Json) -> Box | None:
    """Where its label stands."""
    if found["label"] < 0:
        return None
    x, y, r = pin["x"], pin["y"], pin["radius"]
    w, h = pin["sizes"][found["label"]]
    left, top = {"under": (x - w / 2, y + r), "above": (x - w / 2, y - r - h), "right": (x + r, y - h / 2),
                 "left": (x - r - w, y - h / 2)}[found["side"]]  # fmt: skip
    return left, top, left + w, top + h


def check(pins: list[Json], found: list[Json]) -> None:
    covered = [other for one in found for other in one["beneath"] or []]
    assert sorted(covered) == [n for n, one in enumerate(found) if one["beneath"] is None]  # each is told of once
    for n, one in enumerate(found):
        for other in one["beneath"] or []:
            assert other > n  # what is more urgent lies on top
    labels = [(n, box) for n, one in enumerate(found) if (box := written(pins[n], one))]
    for n, box in labels:
        assert found[n]["beneath"] is not None
        assert FRAME[0] <= box[0] and box[2] <= FRAME[2] and FRAME[1] <= box[1] and box[3] <= FRAME[3]  # noqa: PT018
        for m, other in enumerate(pins):
            if m == n or found[m]["beneath"] is None or other["weight"] < pins[n]["weight"]:
                continue
            x, y, r = other["x"], other["y"], other["radius"]
            assert not overlap(box, (x - r, y - r, x + r, y + r))
    assert not any(overlap(one, other) for (_, one), (_, other) in itertools.combinations(labels, 2))


def test_labels_cover_nothing_of_weight_and_every_mark_is_told_of_once(page: Page) -> None:
    """Five hundred cities at random."""
    rng = random.Random(20261124)
    cities = [some_pins(rng) for _ in range(500)]
    script = "async ([cities, frame, badge]) => {" \
        " const {arrange} = await import('./static/crowd.js');" \
        " return cities.map((pins) => arrange(pins, frame, badge)); }"  # fmt: skip
    answers = page.evaluate(script, [cities, FRAME, BADGE])
    for pins, found in zip(cities, answers, strict=True):
        check(pins, found)
    assert sum(one["label"] >= 0 for found in answers for one in found) > 2000
    assert sum(one["beneath"] is None for found in answers for one in found) > 2000


@pytest.mark.parametrize("view", [browser.WALL, browser.DESK, browser.PHONE])
def test_no_label_lies_on_another_in_a_storm(chromium: Browser, house: House, view: Any) -> None:
    """As they are drawn: 120 stations, a third of them silent; what is in danger has its name where there is room."""
    with browser.opened(chromium, house.url, viewport=view) as (page, _):
        page.wait_for_selector("table tbody tr")
        if view is browser.PHONE:
            page.click("[data-tab=map]")
        page.wait_for_selector("#map .pin .label b")
        boxes: list[Box] = page.evaluate(
            "() => [...document.querySelectorAll('#map .pin .label')].map((e) => e.getBoundingClientRect())"
            ".filter((r) => r.width).map((r) => [r.left + 1, r.top + 1, r.right - 1, r.bottom - 1])"
        )
        assert len(boxes) > 15
        assert [pair for pair in itertools.combinations(boxes, 2) if overlap(*pair)] == []
        expect(page.locator("#map .place:not(.hidden) .label", has_text="春日橋")).to_be_visible()


def crowded(house: House) -> None:
    """Three gauges and a patrol car at one place: danger, silent, calm."""
    at = {"latitude": 34.30, "longitude": 134.06}
    rows = house.board["stations"][:1] + [x for x in house.board["stations"] if x["station"] in ("s0", "s90")]
    patrol = house.answers["moving.geojson"]["features"][0]["geometry"]
    patrol["coordinates"] = [at["longitude"], at["latitude"]]
    house.board = pagenight.board([row | at for row in rows], [])
    house.tell()


def test_what_lies_beneath_is_told_and_can_be_opened(page: Page, house: House) -> None:
    """The worst on top, the worst beneath it on its badge; a press lists all of them."""
    crowded(house)
    shown = page.locator("#map .place:not(.hidden)[data-place]")
    expect(shown).to_have_count(1)
    expect(shown).to_have_attribute("data-place", "takamatsu/kasuga-bridge")
    expect(shown.locator(".beneath")).to_have_text("+2")
    expect(shown.locator(".beneath .mark.silent")).to_have_count(1)
    expect(shown).to_have_attribute("aria-label", "春日橋 氾濫危険水位 3.42 m この下に2局")
    shown.click()
    expect(page.locator(".neighbours li")).to_have_count(3)
    house.board["stations"][0]["value"] = 3.99
    house.tell()
    expect(page.locator(".neighbours li").first).to_contain_text("3.99 m")  # a list that stands open is the present
    page.keyboard.press("Escape")
    expect(page.locator(".neighbours")).to_have_count(0)
    expect(shown).to_be_focused()
    page.keyboard.press("Enter")
    page.locator(".neighbours a").first.click()
    expect(page.locator(".of-station h2")).to_contain_text("春日橋")


def test_the_keyboard_walks_from_mark_to_mark(page: Page) -> None:
    """One stop of the tab key for all; the arrows go by urgency, and the map stays where it is."""
    expect(page.locator("#map .place[tabindex='0']")).to_have_count(1)
    page.locator("#map .place[tabindex='0']").focus()
    name = "() => document.activeElement.getAttribute('aria-label')"
    assert page.evaluate(name).startswith("春日橋 氾濫危険水位")
    page.keyboard.press("ArrowRight")
    assert "観測不能" in page.evaluate(name)
    walked = []
    for _ in range(6):
        page.keyboard.press("ArrowRight")
        walked.append(page.evaluate(name))
    assert len(set(walked)) == 6
    page.keyboard.press("End")
    assert page.evaluate(name) not in walked
    page.keyboard.press("Home")
    expect(page.locator("#map .place[tabindex='0']")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator(".of-station h2")).to_contain_text("春日橋")


def test_only_what_changed_is_drawn_anew(page: Page, house: House) -> None:
    """Of 120 rows and marks the one that rose."""
    page.evaluate("""() => { window.touched = new Set();
      const note = (records) => { for (const r of records) {
        const e = r.target.nodeType === 1 ? r.target : r.target.parentElement;
        const found = e?.closest('tr[data-key], .place[data-place]');
        if (found) window.touched.add(found.dataset.key ?? found.dataset.place);
      } };
      for (const e of [document.querySelector('.list tbody'), document.querySelector('.leaflet-marker-pane')])
        new MutationObserver(note).observe(e, {subtree: true, childList: true, characterData: true});
    }""")
    rising = next(x for x in house.board["stations"] if x["station"] == "s90")
    rising |= {"rank": 4, "value": 3.33, "level": pagenight.named(4)}
    house.tell()
    expect(page.locator("tr[data-key='takamatsu/s90']")).to_contain_text("3.33")
    expect(page.locator("#map .place[data-place='takamatsu/s90'] .digit")).to_have_text("4")
    touched = page.evaluate("() => [...window.touched]")
    assert "takamatsu/s90" in touched
    assert len(touched) < 20  # labels near it may give way

"""Pictures of the page, to be looked at: phone and wall, light and dark, as the colour-blind see it, grey on paper.

make shots
"""

from __future__ import annotations

import sys

from playwright.sync_api import Browser, Page

from tests import browser, pagenight, pageserver, readme

SHOTS = readme.ROOT / "shots"


def see_as(page: Page, deficiency: str) -> None:
    page.context.new_cdp_session(page).send("Emulation.setEmulatedVisionDeficiency", {"type": deficiency})


def take(page: Page, name: str, *, whole: bool = False) -> None:
    page.wait_for_timeout(500)
    page.screenshot(path=SHOTS / f"{name}.png", full_page=whole)
    print(SHOTS / f"{name}.png")


def duty(one: Browser, url: str, name: str) -> None:
    for size, view in (("wall", browser.WALL), ("desk", browser.DESK), ("phone", browser.PHONE)):
        for scheme in ("light", "dark"):
            with browser.opened(one, url, viewport=view, color_scheme=scheme) as (page, _):
                page.wait_for_selector("table tbody tr")
                take(page, f"{name}-{size}-{scheme}")
                if size == "phone":
                    page.click("[data-tab=map]")
                    take(page, f"{name}-{size}-{scheme}-map")
    with browser.opened(one, url, viewport=browser.WALL) as (page, _):
        page.wait_for_selector("table tbody tr")
        see_as(page, "deuteranopia")
        take(page, f"{name}-wall-deuteranopia")
        see_as(page, "achromatopsia")
        page.emulate_media(media="print")
        page.set_viewport_size({"width": 794, "height": 1123})
        take(page, f"{name}-print-grey", whole=True)


VIEWS = ("station/takamatsu/kasuga-bridge", "station/takamatsu/port", "station/takamatsu/toudai-bridge",
         "journal", "handover", "operations", "episode/takamatsu/cause-1")  # fmt: skip


def views(one: Browser, url: str) -> None:
    for hash_ in VIEWS:
        name = hash_.replace("station/takamatsu/", "")
        name = name.replace("/", "-")
        for size, view in (("desk", browser.DESK), ("phone", browser.PHONE)):
            for scheme in ("light", "dark"):
                with browser.opened(one, f"{url}#/{hash_}", viewport=view, color_scheme=scheme) as (page, said):
                    page.wait_for_timeout(900)
                    take(page, f"view-{name}-{size}-{scheme}", whole=True)
                    if said:
                        print(said)
        with browser.opened(one, f"{url}#/{hash_}", viewport={"width": 794, "height": 1123}) as (page, _):
            see_as(page, "achromatopsia")
            page.wait_for_timeout(500)
            page.emulate_media(media="print")
            take(page, f"view-{name}-print-grey", whole=True)


def main() -> int:
    SHOTS.mkdir(exist_ok=True)
    only = sys.argv[1:]
    with browser.chromium() as one:
        for name, board in (("night", pagenight.night()), ("storm", pagenight.storm())):
            if not only or name in only:
                with pageserver.serve(board) as house:
                    duty(one, house.url, name)
        if not only or "views" in only:
            with pageserver.serve(pagenight.night()) as house:
                views(one, house.url)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The system's Chromium, as the tests and the pictures of the page drive it."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from gateway.web.page import STATIC
from tests import servers

JAPAN = {"locale": "ja-JP", "timezone_id": "Asia/Tokyo"}
WALL, DESK, PHONE = {"width": 1920, "height": 1080}, {"width": 1366, "height": 768}, {"width": 390, "height": 844}


def program() -> str:
    """The path of Chromium; skips or fails the test where it is missing."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    return servers.require("chromium")


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Skips or fails the test without it, or without the libraries that the page shows map and chart with."""
    path = program()
    if not (STATIC / "vendor").is_dir():
        servers.missing("the page's libraries are not fetched")
    arguments = ["--no-sandbox", "--autoplay-policy=user-gesture-required"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@contextlib.contextmanager
def opened(browser: Browser, url: str, **more: Any) -> Iterator[tuple[Page, list[str]]]:
    """The page and what its console complained of: breaches of the policy, missing files, errors."""
    context = browser.new_context(**{**JAPAN, "viewport": DESK, **more})
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda e: complaints.append(str(e)))
    page.goto(url)
    page.wait_for_selector("#strip h1")
    yield page, complaints
    context.close()

"""A night at the page, before the real house: the demonstration's bridge, broker and gauges, and a person who looks."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests import browser, servers

pytestmark = [pytest.mark.live, pytest.mark.slow]

RIVER = "umikaze-bridge"
PATIENCE_MS = 90_000


class Night:
    """The demonstration in a folder. `stop` and `go_on` freeze one of its processes, as a pole that loses its power
    or a server that hangs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        command = [sys.executable, "-m", "gateway", "demo", "--seconds", "170", "--port", str(self.port)]
        self.process = subprocess.Popen(
            [*command, "--data", str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        self._frozen: set[int] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def wait(self) -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                with urllib.request.urlopen(f"{self.url}readyz", timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                assert self.process.poll() is None, "the demonstration ended before its page was ready"
                time.sleep(0.3)
        raise AssertionError("the page was not ready within a minute")

    def _pid(self, name: str) -> int:
        return int(json.loads((self.folder / "pids.json").read_text())[name])

    def stop(self, name: str) -> None:
        self._frozen.add(self._pid(name))
        os.kill(self._pid(name), signal.SIGSTOP)

    def go_on(self, name: str) -> None:
        os.kill(self._pid(name), signal.SIGCONT)
        self._frozen.discard(self._pid(name))

    def end(self) -> None:
        for pid in self._frozen:
            os.kill(pid, signal.SIGCONT)
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Night]:
    servers.require("mosquitto")
    browser.program()
    one = Night(tmp_path / "demo")
    try:
        one.wait()
        yield one
    finally:
        one.end()


def said(page: Page) -> None:
    """What was pressed has been done, by the bridge's own word."""
    expect(page.locator("#announced")).to_contain_text("記録しました", timeout=15_000)
    page.evaluate("document.getElementById('announced').remove()")


def test_a_night(night: Night) -> None:
    """Open, arm the sound, watch a flood rise, acknowledge, see a gauge die at the crest, confirm and reject, print,
    switch the language, lose and regain the server, hand over."""
    with browser.chromium() as one, browser.opened(one, night.url) as (page, _):
        river = page.locator(f"tr[data-key='takamatsu/{RIVER}']")
        expect(river).to_be_visible()
        expect(page.locator(".banner.demo")).to_contain_text("値は模擬")
        page.click(".banner.mute button")
        page.click("dialog button[value=heard]")

        # The flood rises, the room hears it, and somebody has seen it.
        expect(river).to_contain_text("避難判断水位", timeout=PATIENCE_MS)
        expect(page.locator("html")).to_have_attribute("data-sounding", "true", timeout=10_000)
        waiting = page.locator(".queue .group .episode")
        page.locator(f"[data-act=acknowledge][data-episode^={RIVER}]").click()
        page.click("dialog button[value=yes]")
        said(page)
        expect(waiting.filter(has_text="うみかぜ橋")).to_have_count(0)

        # Its gauge dies at the crest: it stays where it was, and nobody sees it fall.
        night.stop(f"{RIVER}-edge")
        expect(river).to_contain_text("観測不能", timeout=PATIENCE_MS)
        expect(river.locator(".cross")).to_have_count(1)
        expect(page.locator(".counts")).to_contain_text("観測できない1/3")

        judge_and_reject(page)
        look(page)
        lose_and_regain(page, night)
        hand_over(page)


def unfold(page: Page) -> None:
    """The acknowledged episodes are in sight. Asked of the list itself: a button in it may not be drawn yet, and a
    second press would close it."""
    shown = page.locator(".queue details.open")
    if shown.get_attribute("open") is None:
        shown.locator("> summary").click()


def judge_and_reject(page: Page) -> None:
    """The camera confirms one and refutes another; both are in the chronology."""
    unfold(page)
    page.click(f"[data-act=judge][data-episode^={RIVER}]")
    page.select_option("dialog select", "camera")
    page.click("dialog button[value=confirm]")
    said(page)
    other = page.locator(".queue .group [data-act=acknowledge]").first
    name = (other.get_attribute("data-episode") or "").rpartition("-")[0]
    assert name
    other.click()
    page.click("dialog button[value=yes]")
    said(page)
    unfold(page)
    page.click(f"[data-act=judge][data-episode^={name}]")
    page.select_option("dialog select", "patrol")
    page.click("dialog button[value=reject]")
    expect(page.locator("dialog .sentence")).to_contain_text("訂正を送ります。取り消せません。")
    page.click("dialog button[value=yes]")
    said(page)
    page.click("nav a[href='#/journal']")
    expect(page.locator(".journal")).to_contain_text("カメラ", timeout=15_000)
    expect(page.locator(".journal")).to_contain_text("誤報")


def look(page: Page) -> None:
    """The hydrograph of the river, its print, and the other language."""
    page.click("nav a[href='#/']")
    page.click("a:has-text('うみかぜ橋')")
    expect(page.locator("#chart canvas")).to_have_count(1, timeout=15_000)
    expect(page.locator(".meaning")).to_contain_text("以後観測不能")
    page.emulate_media(media="print")
    expect(page.locator(".tools")).to_be_hidden()
    assert len(page.pdf()) > 10_000
    page.emulate_media(media="screen")
    page.click("[data-act=language]")
    expect(page.locator(".meaning")).to_contain_text("not seen since")
    page.click("[data-act=language]")
    page.click("nav a[href='#/']")


def lose_and_regain(page: Page, night: Night) -> None:
    """A server that hangs: half a minute later nothing looks live, and when it answers everything does."""
    night.stop("web")
    expect(page.locator(".banner.gone")).to_contain_text("更新停止（", timeout=45_000)
    expect(page.locator("html.lost")).to_have_count(1)
    night.go_on("web")
    expect(page.locator("html.lost")).to_have_count(0, timeout=30_000)
    expect(page.locator(".live")).to_contain_text("更新中")


def hand_over(page: Page) -> None:
    """One writes, the next signs; the chronology has both."""
    page.click("nav a[href='#/handover']")
    page.click("[data-act=handover]")
    page.fill("dialog input[name=who]", "山田")
    page.fill("dialog textarea", "うみかぜ橋は観測不能。カメラで監視")
    page.click("dialog button[value=yes]")
    said(page)
    expect(page.locator(".passed")).to_contain_text("まだ引き受けの署名がありません", timeout=15_000)
    page.click("[data-act=sign]")
    page.fill("dialog input[name=who]", "佐藤")
    page.click("dialog button[value=yes]")
    said(page)
    expect(page.locator(".passed")).to_contain_text("に引き受け", timeout=15_000)

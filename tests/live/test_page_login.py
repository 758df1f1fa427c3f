"""Signing in with a real browser at the real page: by password, and over a provider of names."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from gateway import config
from gateway.web.serving import Server, site_of
from tests import browser, oidcprovider
from tests.oidcprovider import CLIENT, SECRET
from tests.test_cli_journal import House
from tests.webaccounts import PASSWORD, Turned, accounts

pytestmark = [pytest.mark.live, pytest.mark.slow]


@pytest.fixture
def there() -> Iterator[oidcprovider.Provider]:
    with oidcprovider.provider() as found:
        yield found


@pytest.fixture
def served(tmp_path: Path, there: oidcprovider.Provider) -> Iterator[str]:
    """The page at a sub-path, with accounts and a provider; nothing is public."""
    with House(tmp_path) as house:
        house.reads(0.0, 1.0)
        (tmp_path / "secret").write_text(SECRET)
        (tmp_path / "web.yaml").write_text(
            f"version: 1\npath: /flood\nmap: {{tiles: false}}\noidc: {{issuer: '{there.issuer}', client_id: {CLIENT}, "
            "secret_file: secret, roles: {flood-desk: operator}}\n"
        )
        web, bridge, registry = config.load_web(tmp_path)
        accounts(web.accounts.parent, Turned()).close()
        server = Server(site_of(web, bridge, registry, tmp_path), 0)
        server.bind()
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            yield server.address
        finally:
            server.stop()
            thread.join(30)


def test_by_password(served: str) -> None:
    """The form of the page, a wrong password, the right one, and out again."""
    with browser.chromium() as one, browser.opened(one, served) as (page, _):
        for password, let_in in (("not that one at all", False), (PASSWORD, True)):
            page.locator("[data-act=login]").first.click()
            page.fill("dialog [name=name]", "Operator")
            page.fill("dialog [name=password]", password)
            page.click("dialog button[value=yes]")
            if not let_in:
                expect(page.locator("dialog")).to_contain_text("名前かパスワードが違います")
                page.locator("dialog button").first.click()
        expect(page.locator(".you")).to_have_text("operator")
        (cookie,) = page.context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/flood")
        assert page.evaluate("document.cookie") == ""
        page.click("[data-act=logout]")
        expect(page.locator("[data-act=login]").first).to_be_visible()
        assert page.context.cookies() == []


def test_over_the_provider(served: str, there: oidcprovider.Provider) -> None:
    """Out to the provider and back: the page knows who it is at once, though its cookie is for no foreign page."""
    with browser.chromium() as one, browser.opened(one, served) as (page, _):
        page.locator("a[href='oidc/start']").first.click()
        expect(page.locator(".you")).to_contain_text("tanaka@")
        assert page.url.startswith(served)
        there.person["groups"] = []
        page.click("[data-act=logout]")
        page.locator("a[href='oidc/start']").first.click()
        expect(page.locator("h1")).to_contain_text("ログインできません")
        page.click("a")
        expect(page.locator("[data-act=login]").first).to_be_visible()


def test_an_administrator_signs_out_whom_the_provider_knows(served: str) -> None:
    """By the name that the audit has; who came that way has no password or token here."""
    with browser.chromium() as one, browser.opened(one, served) as (page, _), browser.opened(one, served) as (other, _):
        other.locator("a[href='oidc/start']").first.click()
        name = other.locator("span.you").inner_text()
        other.evaluate("location.hash = '#/me'")
        expect(other.locator("main")).to_contain_text("名前とパスワードでログインした人だけ")
        page.locator("[data-act=login]").first.click()
        page.fill("dialog [name=name]", "administrator")
        page.fill("dialog [name=password]", PASSWORD)
        page.click("dialog button[value=yes]")
        page.click("nav a[href='#/accounts']")
        for written, said in (("tanaka", "「名前@認証元」の形で書いてください。"), (name, "")):
            if not page.locator("dialog[open]").count():
                page.click("[data-act=account_provider]")
            page.fill("dialog [name=name]", written)
            page.click("dialog button[value=yes]")
            if said:
                expect(page.locator("dialog [role=alert]")).to_have_text(said)
        expect(page.locator("#announced")).to_have_text("1か所でログアウトさせました。")
        other.reload()
        expect(other.locator("[data-act=login]").first).to_be_visible()

"""Accounts, tokens and the audit with a real browser at the real page, by people who sign in."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from gateway import config
from gateway.errors import LoginReason
from gateway.web.serving import Server, site_of
from tests import browser, pagenight, pageserver
from tests.test_cli_journal import House
from tests.webaccounts import PASSWORD, Turned, accounts

pytestmark = [pytest.mark.live, pytest.mark.slow]
NEW = "kawa no mizu ga fueru"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser.chromium() as one:
        yield one


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The page with accounts; nothing is public."""
    with House(tmp_path) as house:
        house.reads(0.0, 1.0)
        (tmp_path / "web.yaml").write_text("version: 1\nmap: {tiles: false}\n")
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


@pytest.fixture
def administrator(chromium: Browser, served: str) -> Iterator[Page]:
    with browser.opened(chromium, served) as (page, complaints):
        sign_in(page, "administrator")
        yield page
        # A refusal is an answer, of which the browser's console complains.
        assert [x for x in complaints if "status of 4" not in x] == []


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    page.locator("[data-act=login]").first.click()
    answer(page, "yes", name=name, password=password)
    expect(page.locator(".you")).to_have_text(name)


def answer(page: Page, verb: str = "yes", **fields: str) -> None:
    for name, value in fields.items():
        field = page.locator(f"dialog [name={name}]")
        if field.evaluate("x => x.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)
    page.click(f"dialog button[value={verb}]")


def press(page: Page, act: str, name: str = "") -> None:
    page.click(f"[data-act={act}][data-name='{name}']" if name else f"main [data-act={act}]")


def against(page: Page) -> Any:
    return page.locator("dialog [role=alert]")


def row(page: Page, name: str) -> Any:
    return page.locator(f"tr[data-key='{name}']")


def board(served: str, token: str) -> httpx.Response:
    return httpx.get(f"{served}api/v1/board", headers={"Authorization": f"Bearer {token}"})


def test_from_the_first_day_to_the_last(chromium: Browser, served: str, administrator: Page) -> None:
    """An operator is made, signs in, makes a token that a program uses, loses the role and is signed out; the token is
    revoked and works no more; all of it is in the audit, in words."""
    page = administrator
    page.click("nav a[href='#/accounts']")
    expect(row(page, "administrator")).to_contain_text("あなた")
    press(page, "account_make")
    answer(page, name="Tanaka", display="田中 一郎", role="operator", password=NEW, again=NEW)
    expect(row(page, "tanaka")).to_contain_text("田中 一郎")
    expect(row(page, "tanaka")).to_contain_text("当番")

    with browser.opened(chromium, served) as (other, _):
        sign_in(other, "tanaka", NEW)
        other.click("a.you")
        expect(other.locator("nav a[href='#/accounts']")).to_have_count(0)
        token = made_token(other)
        assert board(served, token).status_code == 200
        press(page, "account_rights", "tanaka")
        expect(page.locator("dialog")).to_contain_text("この人はすべての端末でログアウトされます")
        answer(page, role="viewer")
        expect(row(page, "tanaka")).to_contain_text("閲覧")
        expect(other.locator(".banner.gone")).to_contain_text("ログインが必要です", timeout=60_000)
        expect(other.locator("main table")).to_have_count(0)
        other.reload()
        sign_in(other, "tanaka", NEW)
        expect(other.locator("main tr")).to_contain_text(["名前", "地図サーバー"])
        other.click("[data-act=token_revoke]")
        expect(other.locator("dialog")).to_contain_text("元には戻せません")
        answer(other)
        expect(other.locator("details.ended")).to_contain_text("使えなくなったもの 1件")
        assert board(served, token).status_code == 401

    page.click("main nav a[href='#/accounts/audit']")
    table = page.get_by_role("table", name="操作の記録")
    newest = table.get_by_role("row").nth(1)
    for words in ("tanaka", "画面", "トークン失効", "完了", "127.0.0.1"):
        expect(newest).to_contain_text(words)
    for words in ("トークン作成", "アカウント変更", "アカウント作成"):
        expect(table).to_contain_text(words)
    expect(table.get_by_role("row").filter(has_text="アカウント変更")).to_contain_text("tanaka、閲覧、すべて、有効")
    expect(page.get_by_role("table", name="断った回数")).to_contain_text("使えないトークン")


def made_token(page: Page) -> str:
    """It is shown once: nowhere in what stays of the page, its address, or what the browser keeps."""
    page.click("[data-act=token_make]")
    assert page.locator("dialog [name=scope] option").all_inner_texts() == ["読むだけ", "読む・操作する"]
    answer(page, label="地図サーバー", days="30")
    secret = page.locator("#secret")
    expect(page.locator("dialog")).to_contain_text("二度と表示されません")
    page.keyboard.press("Escape")  # a slip of the hand does not lose it
    token = secret.input_value()
    assert re.fullmatch(r"sui_[0-9a-f]{12}_[\w-]{43}", token)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.click("[data-act=token_copy]")
    expect(page.locator("#copied")).to_have_text("コピーしました。")
    assert page.evaluate("navigator.clipboard.readText()") == token
    answer(page)
    expect(secret).to_have_count(0)
    expect(page.locator("main")).to_contain_text("地図サーバー")
    kept = page.evaluate(
        "[document.documentElement.outerHTML, location.href, JSON.stringify({...localStorage, ...sessionStorage})]"
    )
    assert not [x for x in kept if token[17:] in x]
    return token


def test_what_is_wrong_is_said_and_may_be_mended(administrator: Page) -> None:
    """Each refusal is a sentence above the same question, which keeps what was entered; passwords are typed again."""
    page = administrator
    page.click("nav a[href='#/accounts']")
    press(page, "account_make")
    answer(page, name="operator", password=NEW, again=NEW + "x")
    expect(against(page)).to_have_text("二つのパスワードが違います。")
    assert page.input_value("dialog [name=name]") == "operator"
    assert page.input_value("dialog [name=password]") == ""
    answer(page, password=NEW, again=NEW)
    expect(against(page)).to_have_text("「operator」というアカウントはもうあります。")
    answer(page, name="sato", password="mijikai", again="mijikai")
    expect(against(page)).to_have_text("パスワードは12文字以上にしてください。")
    page.check("dialog [name=reach][value=some]")
    answer(page, password=NEW, again=NEW)
    expect(against(page)).to_have_text("担当範囲を一つ以上選んでください。")
    page.check("dialog [name='tenant:takamatsu']")
    page.select_option("dialog [name=kind]", "machine")
    expect(page.locator("dialog [name=password]")).to_be_hidden()
    answer(page)
    expect(page.locator("dialog")).to_contain_text("suimon web token create sato")
    answer(page)
    for words in ("takamatsu", "機械用", "閲覧"):
        expect(row(page, "sato")).to_contain_text(words)
    expect(page.locator("[data-act=account_signout][data-name=sato]")).to_have_count(0)
    press(page, "account_rights", "sato")
    answer(page)
    expect(page.locator("#announced")).to_have_text("何も変わっていません。")


def test_disabling_setting_a_password_signing_out(chromium: Browser, served: str, administrator: Page) -> None:
    """Each says what it means, and does it."""
    page = administrator
    page.click("nav a[href='#/accounts']")
    with browser.opened(chromium, served) as (other, _):
        sign_in(other, "operator")
        press(page, "account_signout", "operator")
        expect(page.locator("dialog")).to_contain_text("パスワードとトークンはそのままです")
        answer(page)
        expect(page.locator("#announced")).to_have_text("1か所でログアウトさせました。")
        other.reload()
        press(page, "account_password", "operator")
        answer(page, password=NEW, again=NEW)
        expect(page.locator("#announced")).to_have_text("operator を変更しました。")
        sign_in(other, "operator", NEW)
        press(page, "account_disable", "operator")
        expect(page.locator("dialog")).to_contain_text("ログインもトークンも使えません")
        answer(page)
        expect(row(page, "operator")).to_contain_text("無効")
        other.reload()
        other.locator("[data-act=login]").first.click()
        answer(other, name="operator", password=NEW)
        expect(other.locator("dialog")).to_contain_text("名前かパスワードが違います")
        press(page, "account_enable", "operator")
        answer(page)
        expect(page.locator("[data-act=account_disable][data-name=operator]")).to_be_visible()
        answer(other)
        sign_in(other, "operator", NEW)


def test_ones_own_password(chromium: Browser, served: str) -> None:
    """By the old one; then everybody logs in anew, and nothing typed stays in the page."""
    with browser.opened(chromium, served) as (page, _):
        sign_in(page, "viewer")
        page.click("a.you")
        press(page, "password_change")
        answer(page, old="not this one either", password=NEW, again=NEW)
        expect(against(page)).to_have_text("いまのパスワードが違います。")
        answer(page, old=PASSWORD, password=PASSWORD[:5], again=PASSWORD[:5])
        expect(against(page)).to_have_text("パスワードは12文字以上にしてください。")
        answer(page, old=PASSWORD, password=NEW, again=NEW)
        expect(page.locator("dialog")).to_contain_text("新しいパスワードでログインしてください")
        assert NEW not in page.content()
        answer(page)
        sign_in(page, "viewer", NEW)


def test_guessing_is_told_to_wait(chromium: Browser, served: str) -> None:
    """In seconds, and in English where the page is."""
    with browser.opened(chromium, served) as (page, _):
        sign_in(page, "viewer")
        page.click("[data-act=language]")
        page.click("a.you")
        press(page, "password_change")
        status = 0
        while status != 429:  # each wrong one makes the next wait longer
            with page.expect_response("**/api/v1/password") as got:
                answer(page, old="not this one either", password=NEW, again=NEW)
            status = got.value.status
            said = r"Wait \d+ s, then try again\." if status == 429 else "The present password is wrong."
            expect(against(page)).to_have_text(re.compile(said))


def test_whoever_sits_at_a_demonstration_has_no_account(chromium: Browser) -> None:
    """No entry, and no way to a password."""
    with pageserver.serve(pagenight.night()) as house, browser.opened(chromium, house.url) as (page, _):
        expect(page.locator(".you")).to_have_text("当番")
        expect(page.locator("a.you")).to_have_count(0)
        expect(page.locator("nav a")).to_have_count(4)
        page.evaluate("location.hash = '#/me'")
        expect(page.locator("main")).to_contain_text("名前とパスワードでログインした人だけ")


@pytest.mark.parametrize("name", ["viewer", "operator"])
def test_whoever_is_no_administrator_sees_no_entry_and_gets_nothing(chromium: Browser, served: str, name: str) -> None:
    """Nor by typing the address: nothing is asked of the server."""
    with browser.opened(chromium, served) as (page, complaints):
        sign_in(page, name)
        expect(page.locator("nav a")).to_have_count(4)
        asked: list[str] = []
        page.on("request", lambda x: asked.append(x.url))
        for address in ("#/accounts", "#/accounts/audit"):
            page.evaluate(f"location.hash = '{address}'")
            expect(page.locator("main")).to_have_text("この画面は管理者だけが使えます。")
        assert not [x for x in asked if re.search(r"api/v1/(accounts|audit|me)", x)]
        assert [x for x in complaints if "status of 401" not in x] == []  # of before it signed in


def test_an_administrator_of_some_tenants(chromium: Browser, served: str) -> None:
    """Sees accounts within these, may not give all, and is told that the audit is of the whole house."""
    with browser.opened(chromium, served) as (page, _):
        sign_in(page, "elsewhere")
        page.click("nav a[href='#/accounts']")
        expect(page.locator("main tbody tr")).to_have_count(1)
        press(page, "account_make")
        expect(page.locator("dialog [name=reach]")).to_have_count(0)
        expect(page.locator("dialog [name='tenant:elsewhere']")).to_be_checked()
        page.keyboard.press("Escape")
        page.click("main nav a[href='#/accounts/audit']")
        expect(page.locator("main")).to_contain_text("すべての範囲の管理者だけが見られます")


@pytest.mark.parametrize("size", [browser.PHONE, {"width": 320, "height": 640}, {"width": 1280, "height": 800}])
@pytest.mark.parametrize("language", ["ja", "en"])
def test_no_view_scrolls_sideways_and_all_are_tables(administrator: Page, size: dict[str, int], language: str) -> None:
    """Also on a phone a cell is a cell of its column to whoever hears it."""
    page = administrator
    page.set_viewport_size(size)  # type: ignore[arg-type]
    if language == "en":
        page.click("[data-act=language]")
    for address in ("#/accounts", "#/accounts/audit", "#/me"):
        page.evaluate(f"location.hash = '{address}'")
        page.wait_for_selector("main h2")
        if address != "#/me":
            expect(page.get_by_role("table").first.get_by_role("rowheader").first).to_be_visible()
            expect(page.get_by_role("table").first.get_by_role("columnheader").first).to_be_attached()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address


def test_by_keyboard(administrator: Page) -> None:
    """Without a mouse: the entry, a deed, its question, and no."""
    page = administrator
    page.locator("nav a[href='#/accounts']").press("Enter")
    deed = page.get_by_role("button", name="無効にする: viewer")
    deed.press("Enter")
    expect(page.get_by_role("dialog", name="viewer　無効にする")).to_be_visible()
    page.keyboard.press("Escape")
    expect(deed).to_be_focused()


def test_a_long_audit_is_turned_by_pages(administrator: Page, tmp_path: Path) -> None:
    """A hundred at a time, back and forth."""
    page = administrator
    house = config.load_web(tmp_path)[0]
    known = accounts(house.accounts.parent)
    for n in range(150):
        known.failed("192.0.2.9", f"somebody{n}", LoginReason.WRONG_PASSWORD)
    known.close()
    page.evaluate("location.hash = '#/accounts/audit'")
    table = page.get_by_role("table", name="操作の記録")
    expect(table.get_by_role("row")).to_have_count(101)
    page.click("section[data-key=audit] [data-act=audit_older]")
    expect(table).to_contain_text("アカウント作成")
    expect(page.locator("section[data-key=audit] [data-act=audit_older]")).to_be_disabled()
    page.click("section[data-key=audit] [data-act=audit_newer]")
    expect(table.get_by_role("row")).to_have_count(101)
    expect(table).not_to_contain_text("アカウント作成")

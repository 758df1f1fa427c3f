"""The page in a real browser, before a house that does what the test says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from gateway.errors import ActCode
from tests import browser, pagenight, pageserver, refusals
from tests.pageserver import House

pytestmark = [pytest.mark.live, pytest.mark.slow]
# One of each fact of a refusal.
FACTS: dict[str, Any] = {
    "station": "kasuga-bridge", "other": "", "episode": "drill.kasuga-bridge.20261124T031200.000Z", "name": "田中",
    "tenants": "a, b", "level": {"ja": "氾濫危険水位", "en": "flood danger level"}, "claimed": True, "value": 3.1,
    "unit": "m", "hours": 12.5, "most": 12, "kind": "dance", "rank": 1, "at": 1_795_457_100_000,
    "now": 1_795_457_100_000, "row": 7, "last": 5, "n": 4001, "why": "Object missing required field `kind`",
}  # fmt: skip
SAY = """async (given) => {
  const { why } = await import(new URL('static/refusals.js', document.baseURI).href);
  return Object.fromEntries(Object.entries(given).map(([code, facts]) => [code, why({ code, facts, reason: '{}' })]));
}"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser.chromium() as one:
        yield one


@pytest.fixture
def house() -> Iterator[House]:
    with pageserver.serve(pagenight.night()) as one:
        yield one


@pytest.fixture
def page(chromium: Browser, house: House) -> Iterator[Page]:
    with browser.opened(chromium, house.url) as (one, complaints):
        one.wait_for_selector("table tbody tr")
        yield one
        # A refusal is an answer, of which the browser's console complains.
        assert [x for x in complaints if not re.search(r"\((Conflict|Forbidden|Too Many Requests)\)", x)] == []


def arm(page: Page) -> None:
    page.click(".banner.mute button")
    page.click("dialog button[value=heard]")
    expect(page.locator(".banner.mute")).to_have_count(0)


def row(page: Page, station: str) -> Any:
    return page.locator(f"tr[data-key='takamatsu/{station}']")


def test_the_worst_stands_first_with_its_level_trend_and_age(page: Page) -> None:
    """Where is danger, is it rising, how old is that."""
    first = page.locator("table tbody tr").first
    for words in ("春日橋", "3.42", "−0.62", "+0.06", "↑ +0.31", "2分前", "氾濫危険水位"):
        expect(first).to_contain_text(words)
    expect(page.locator(".counts")).to_contain_text("観測できない4/12")


def test_what_is_not_known_has_its_own_mark_and_word(page: Page) -> None:
    """Silent, faulty, unknown, lost at the crest, unconfirmed, late, under maintenance: none looks calm."""
    for station, word, mark in (
        ("oomatoba", "未着", "silent"),
        ("koto-upper", "故障", "faulty"),
        ("honzu", "不明", "unknown"),
        ("yashima", "点検中", "maintenance"),
    ):
        expect(row(page, station)).to_contain_text(word)
        expect(row(page, station).locator("svg.mark")).to_have_class(f"mark {mark} ")
        expect(row(page, station)).not_to_contain_text("平常")
    expect(row(page, "toudai-bridge")).to_contain_text("以後観測不能")
    expect(row(page, "toudai-bridge").locator(".cross")).to_have_count(1)
    expect(row(page, "gobo-bridge")).to_contain_text("未確認")
    expect(row(page, "gobo-bridge").locator(".doubt")).to_have_count(1)
    expect(row(page, "minami")).to_contain_text("遅延")
    expect(row(page, "minami").locator(".age")).to_have_class("age late")


def test_the_queue_has_the_longest_waiting_first_by_river(page: Page) -> None:
    """The episode that waits an hour stands above the one of two minutes; what is seen stands apart."""
    names = page.locator(".queue .group .name").all_inner_texts()
    assert names == ["陶大橋", "南部の回線：2局が観測できない", "御坊橋", "春日橋"]
    assert page.locator(".queue .group h3").all_inner_texts() == ["香東川", "共通の原因", "御坊川", "春日川"]
    expect(page.locator(".queue details")).to_contain_text("新川橋")


def test_the_map_works_without_tiles(page: Page) -> None:
    """Outlines carry it; each station has its mark, the grave ones their names."""
    expect(page.locator("#map .pin")).to_have_count(13)  # and a patrol car
    expect(page.locator("#map .outline")).to_have_count(3)
    expect(page.locator("#map .label b", has_text=re.compile("春日橋|陶大橋"))).to_have_count(2)
    expect(page.locator("#map .place[title='パトロール1号 3分前の位置'] .label")).to_contain_text("パトロール1号")


def test_the_map_stays_a_map_when_the_page_is_drawn_again(page: Page, house: House) -> None:
    """What the library set on its element is not taken for an old state of ours."""
    for n in range(3):
        house.board["stations"][0]["value"] = 3.5 + n / 10
        house.tell()
        expect(page.locator("table tbody tr").first).to_contain_text(f"{3.5 + n / 10:.2f}")
    expect(page.locator("#map")).to_have_class(re.compile("leaflet-container"))


def test_without_the_map_library_the_list_says_so(chromium: Browser, house: House) -> None:
    """A missing library costs the map, in words, and nothing else."""
    context = chromium.new_context(**browser.JAPAN)
    page = context.new_page()
    page.route("**/vendor/**", lambda route: route.abort())
    page.goto(house.url)
    expect(page.locator(".where")).to_contain_text("地図の部品がありません")
    expect(page.locator("table tbody tr")).to_have_count(12)
    context.close()


def test_a_change_is_on_the_screen_at_once_and_leaves_the_focus(page: Page, house: House) -> None:
    """A rank that rises shows without a question, and whoever was about to press a button still is."""
    page.locator("[data-act=acknowledge]").first.focus()
    house.board["stations"][3] |= {"rank": 5, "level": pagenight.named(5), "value": 4.44}
    house.tell()
    expect(page.locator("table tbody tr").first).to_contain_text("4.44", timeout=2000)
    assert page.evaluate("document.activeElement.dataset.act") == "acknowledge"


def test_a_proxy_that_holds_the_stream_back_costs_seconds(chromium: Browser, house: House) -> None:
    """What the stream does not say is asked for; the page never stops for it."""
    house.streams = False
    context = chromium.new_context(**browser.JAPAN)
    page = context.new_page()
    page.clock.install()
    page.goto(house.url)
    page.wait_for_selector("table tbody tr")
    house.board["stations"][0]["value"] = 3.77
    for _ in range(60):
        page.clock.run_for(1000)
    expect(row(page, "kasuga-bridge")).to_contain_text("3.77")
    expect(page.locator(".live")).to_contain_text("更新中")
    context.close()


def test_a_lost_server_greys_the_page_and_says_since_when(chromium: Browser, house: House) -> None:
    """30 s without contact; nothing can be pressed; when it is back, it is live again."""
    context = chromium.new_context(**browser.JAPAN)
    page = context.new_page()
    page.clock.install()
    page.goto(house.url)
    page.wait_for_selector("table tbody tr")
    house.stop()
    for _ in range(32):
        page.clock.run_for(1000)
    expect(page.locator(".banner.gone")).to_contain_text("更新停止（")
    expect(page.locator(".banner.gone")).to_contain_text("現在の表示）")
    expect(page.locator("html.lost")).to_have_count(1)
    expect(page.locator("[data-act=acknowledge]").first).to_be_disabled()
    house.start()
    for _ in range(20):
        page.clock.run_for(1000)
    expect(page.locator(".banner.gone")).to_have_count(0)
    expect(page.locator(".live")).to_contain_text("更新中")
    context.close()


def test_nothing_rings_before_somebody_heard_it_and_all_know(page: Page, house: House) -> None:
    """A red banner until the sound is armed; then it rings until somebody has acknowledged."""
    expect(page.locator(".banner.mute")).to_contain_text("警報4件が鳴らせません")
    page.click(".banner.mute button")
    page.click("dialog button[value=silent]")
    page.click("dialog button[value=yes]")
    expect(page.locator(".banner.mute")).to_have_count(1)
    arm(page)
    expect(page.locator("html")).to_have_attribute("data-sounding", "true", timeout=5000)
    for e in house.board["episodes"]:
        e |= {"acknowledged": {"by": "山田", "at": pagenight.ago(0)}, "calling": None}
    house.tell()
    expect(page.locator("html")).to_have_attribute("data-sounding", "false", timeout=8000)


def test_an_acknowledgement_says_what_it_does_and_is_sent_once(page: Page, house: House) -> None:
    """The consequence stands in a sentence; no sends nothing, yes one act."""
    button = page.locator("[data-act=acknowledge][data-episode=kasuga-bridge-1]")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.locator("dialog")).to_contain_text("宿直への呼出を止めます")
    page.keyboard.press("Escape")
    assert house.acts == []
    button.click()
    page.fill("dialog textarea", "電話で確認")
    page.click("dialog button[value=yes]")
    expect(page.locator("#announced")).to_contain_text("記録しました")
    act = {"kind": "acknowledge", "tenant": "takamatsu", "episode": "kasuga-bridge-1", "note": "電話で確認"}
    assert house.acts == [act]


def test_a_refusal_is_read_not_missed(page: Page, house: House) -> None:
    """What the bridge will not do stands in a dialogue with its reason."""
    house.refusal = "すでに終了しています"
    page.click("[data-act=acknowledge][data-episode=kasuga-bridge-1]")
    page.click("dialog button[value=yes]")
    expect(page.locator("dialog h2")).to_have_text("受け付けられません")
    expect(page.locator("dialog")).to_contain_text("すでに終了しています")


def test_a_refusal_speaks_the_language_and_the_buttons_of_the_page(page: Page, house: House) -> None:
    """Place, what, value and remedy by its code; one that is newer than the page shows what came with it."""
    level = {"ja": "氾濫危険水位", "en": "flood danger level"}
    facts = {"station": "shinkawa", "level": level, "claimed": False, "value": 3.1, "unit": "m"}
    house.refusal = {"code": "still_high", "facts": facts}
    page.click("details.open summary")
    page.click("[data-act=close][data-episode=shinkawa-1]")
    page.select_option("dialog select", "camera")
    page.fill("dialog textarea", "橋脚に流木")
    page.click("dialog button[value=yes]")
    expect(page.locator("dialog .sentence")).to_contain_text("新川橋はまだ氾濫危険水位を示しています（3.10 m）。")
    expect(page.locator("dialog .sentence")).to_contain_text("「それでも終える」を押します")
    page.click("dialog button[value=yes]")
    page.click("[data-act=language]")
    house.refusal = {"code": "of_tomorrow", "facts": {}}
    for words in ("as typed", "Shinkawa Bridge still shows flood danger level (3.10 m). Close it when it has fallen."):
        page.click("[data-act=close][data-episode=shinkawa-1]")
        page.select_option("dialog select", "camera")
        page.fill("dialog textarea", "driftwood")
        page.click("dialog button[value=yes]")
        expect(page.locator("dialog .sentence")).to_contain_text(words)
        page.click("dialog button[value=yes]")
        house.refusal = {"code": "still_high", "facts": facts}


def test_every_refusal_is_a_whole_sentence(page: Page) -> None:
    """Each code with the facts that the bridge gives: nothing is left to fill in, no button called by its key."""
    for language in ("ja", "en"):
        said = page.evaluate(SAY, {code: {x: FACTS[x] for x in facts} for code, facts in refusals.given().items()})
        assert said.keys() == {x.value for x in ActCode}
        for code, text in said.items():
            assert not re.search(r"[\[\]{}]|undefined|NaN|null|--", text), f"{language} {code}: {text}"
            if "station" in refusals.given()[code]:
                assert {"ja": "春日橋", "en": "Kasuga Bridge"}[language] in text, text
        page.click("[data-act=language]")


def test_what_may_not_be_done_is_no_invitation_to_try_again(page: Page, house: House) -> None:
    """A right that is missing stays missing; a server that is busy does not stay so."""
    for status, code, heading in ((403, "forbidden", "受け付けられません"), (429, "too_many", "送れませんでした")):
        house.problem = {"title": "x", "status": status, "detail": "x", "code": code}
        page.click("[data-act=acknowledge][data-episode=kasuga-bridge-1]")
        page.click("dialog button[value=yes]")
        expect(page.locator("dialog h2")).to_contain_text(heading)
        page.click("dialog button[value=yes]")


def test_both_languages(page: Page) -> None:
    """English by meaning, with the language said to the screen reader, and remembered."""
    page.click("[data-act=language]")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.locator("table tbody tr").first).to_contain_text("Kasuga Bridge")
    expect(page.locator(".banner.mute")).to_contain_text("4 alerts cannot ring")
    page.reload()
    expect(page.locator("table tbody tr").first).to_contain_text("flood danger level")


def test_a_name_never_becomes_markup(page: Page, house: House) -> None:
    """A station may be called anything."""
    house.board["stations"][0]["name"]["ja"] = "<img src=x onerror=alert(1)>"
    house.tell()
    expect(page.locator("table tbody tr").first).to_contain_text("<img src=x")
    assert page.locator("img[src=x]").count() == 0


def test_under_a_sub_path(chromium: Browser) -> None:
    """Behind a proxy the page may stand anywhere, and asks nobody else."""
    with pageserver.serve(pagenight.night(), "/city/flood") as house:
        context = chromium.new_context(**browser.JAPAN)
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda r: asked.append(r.url))
        page.goto(house.url)
        expect(page.locator("#map .pin")).to_have_count(13)
        assert all(url.startswith(house.url) for url in asked)
        context.close()


def go(page: Page, where: str) -> None:
    page.evaluate("(hash) => { location.hash = hash }", where)


KASUGA = "#/station/takamatsu/kasuga-bridge"


def test_a_station_shows_its_hydrograph_first_and_what_it_means(page: Page) -> None:
    """Line, thresholds by name, rain, one sentence, who was told, device, links."""
    page.click("a:has-text('春日橋')")
    expect(page.locator(".meaning")).to_have_text("氾濫危険水位を62 cm上回り、1時間に31 cm上昇")
    expect(page.locator("#chart canvas")).to_have_count(1)
    expect(page.locator(".hydrograph")).to_contain_text("上の棒：雨量 春日橋")
    expect(page.locator(".happened")).to_contain_text("佐藤　送信待ち 3回目")
    expect(page.locator("main")).to_contain_text("kasuga-01　100.00 %")
    expect(page.locator("main a[href='https://www.river.go.jp/']")).to_have_attribute("rel", "noopener noreferrer")


def test_one_decides_where_one_has_looked(page: Page, house: House) -> None:
    """The station's own view has the buttons of its alert."""
    go(page, "#/station/takamatsu/toudai-bridge")
    expect(page.locator(".meaning")).to_contain_text("以後観測不能")
    expect(page.locator(".happened [data-act=judge]")).to_be_visible()
    page.click(".happened [data-act=acknowledge]")
    page.click("dialog button[value=yes]")
    expect(page.locator("#announced")).to_contain_text("記録しました")
    assert [x["episode"] for x in house.acts] == ["toudai-bridge-1"]


def test_the_crosshair_reads_value_time_and_flag_in_words(page: Page) -> None:
    """By pointer and by arrow keys; a gap is called one."""
    go(page, KASUGA)
    page.wait_for_selector("#chart canvas")
    page.focus("#chart")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#reading")).to_contain_text(re.compile(r"\d+月\d+日.+\d:\d\d　\d\.\d\d m　(良|要確認)"))
    box = page.locator("#chart .u-over").bounding_box()
    assert box is not None
    # The hour that is missing begins ten hours ago, of 24 h and a little to come.
    page.mouse.move(box["x"] + box["width"] * (14.5 / 24.96), box["y"] + 50)
    expect(page.locator("#reading")).to_contain_text("欠測")


def test_a_rank_that_stands_above_its_value_says_so(page: Page, house: House) -> None:
    """A rank falls late on purpose; nobody calls that safe."""
    caution = {**pagenight.named(2), "rank": 2, "value": 1.9, "distance": -0.28}
    house.board["stations"][0] |= {"value": 2.18, "over": caution, "trend": "down", "rate_per_h": -0.7}
    house.tell()
    expect(row(page, "kasuga-bridge")).to_contain_text("下回りました（監視継続）")
    go(page, KASUGA)
    expect(page.locator(".meaning")).to_have_text(
        "氾濫危険水位を下回りました（監視継続）、氾濫注意水位を28 cm上回り、1時間に70 cm下降"
    )


def test_ranges_drag_and_flags(page: Page) -> None:
    """Four ranges; what is dragged is asked for anew; flags on demand."""
    asked: list[str] = []
    page.on("request", lambda r: asked.append(r.url) if "water_level/series?" in r.url else None)
    go(page, KASUGA)
    page.wait_for_selector("#chart canvas")
    for name in ("h3", "d7", "d30", "h24"):
        page.click(f"[data-range={name}]")
        expect(page.locator(f"[data-range={name}]")).to_have_attribute("aria-pressed", "true")
    assert len(asked) == 4
    page.wait_for_timeout(300)
    box = page.locator("#chart .u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 200, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 400, box["y"] + 100, steps=5)
    page.mouse.up()
    expect(page.locator("[data-act=zoomout]")).to_be_visible()
    assert len(asked) == 5
    page.click("[data-act=flags]")
    expect(page.locator(".hydrograph")).to_contain_text("△要確認")
    page.click("[data-act=zoomout]")
    expect(page.locator("[data-act=zoomout]")).to_have_count(0)


def test_raw_values_on_demand(page: Page) -> None:
    """What the sensor gave, on an axis of its own and one by one with what the quality tests said."""
    go(page, KASUGA)
    page.wait_for_selector("#chart canvas")
    expect(page.locator(".hydrograph")).not_to_contain_text("変換前")
    page.click("[data-act=ones]")
    expect(page.locator(".hydrograph")).to_contain_text("センサーが送った生値")
    page.click(".raw summary")
    suspect = page.locator(".raw tbody tr", has_text="突出").first
    expect(suspect).to_contain_text("要確認突出、受信時は良")
    expect(page.locator(".raw tbody tr").first).to_contain_text(re.compile(r"3\.\d\d m2\d\d\d"))
    page.click("[data-act=ones]")
    expect(page.locator(".hydrograph")).not_to_contain_text("変換前")


def test_the_tide_stands_beside_a_tidal_gauge(page: Page) -> None:
    """Level less deviation, dashed."""
    go(page, "#/station/takamatsu/port")
    expect(page.locator(".hydrograph")).to_contain_text("破線：天文潮位")


def test_a_judgement_names_its_consequence_twice_where_it_cannot_be_undone(page: Page, house: House) -> None:
    """Confirming is one step; a rejection says to how many people a correction goes."""
    page.click("[data-act=judge]")
    page.click("dialog button[value=confirm]")  # without saying what it rests on
    expect(page.locator("dialog select:invalid")).to_have_count(1)
    assert house.acts == []
    page.select_option("dialog select", "camera")
    page.fill("dialog textarea", "カメラでは平常")
    page.click("dialog button[value=reject]")
    expect(page.locator("dialog .sentence")).to_have_text("12人に訂正を送ります。取り消せません。")
    assert house.acts == []
    page.click("dialog button[value=yes]")
    expect(page.locator("#announced")).to_contain_text("記録しました")
    (act,) = house.acts
    assert (act["kind"], act["basis"], act["note"]) == ("reject", "camera", "カメラでは平常")


def test_only_low_ranks_and_silences_are_acknowledged_together(page: Page, house: House) -> None:
    """A common cause and a caution level go together, a danger level never."""
    tsumeta = house.board["stations"][3]
    house.board["episodes"].append(pagenight.episode(tsumeta, 5))
    house.tell()
    page.click("[data-act=together]")
    expect(page.locator("dialog .meant li")).to_have_count(2)
    page.click("dialog button[value=yes]")
    expect(page.locator("#announced")).to_contain_text("記録しました")
    (act,) = house.acts
    assert (act["path"], act["episodes"]) == ("acts/acknowledge", ["cause-1", "tsumeta-bridge-1"])
    house.refused = {"cause-1": {"reason": "not open", "code": "no_episode", "facts": {"episode": "cause-1"}}}
    page.click("[data-act=together]")
    page.click("dialog button[value=yes]")
    expect(page.locator("dialog h2")).to_have_text("2件のうち1件は受け付けられません。ほかは記録しました")
    expect(page.locator("dialog .meant")).to_contain_text("の警報はもう開いていません。")


def test_an_edit_that_is_not_in_force_is_said(page: Page, house: House) -> None:
    """By which configuration alarms are judged, and what to do, until the bridge has taken it over."""
    house.board["configuration"] = {"edited": True, "in_force": pagenight.ago(120)}
    house.tell()
    expect(page.locator(".banner.edited")).to_contain_text("まだ反映されていません")
    expect(page.locator(".banner.edited")).to_contain_text("suimon bridge reload")
    house.board["configuration"] |= {"edited": False}
    house.tell()
    expect(page.locator(".banner.edited")).to_have_count(0)


def test_a_mute_has_an_end(page: Page, house: House) -> None:
    """A mute without an end cannot be asked for."""
    go(page, KASUGA)
    page.click("[data-act=mute]")
    page.select_option("dialog select", "4")
    page.fill("dialog textarea", "住民対応中")
    page.click("dialog button[value=yes]")
    expect(page.locator("#announced")).to_contain_text("記録しました")
    assert house.acts[0] | {"note": ""} == {
        "kind": "mute", "tenant": "takamatsu", "station": "kasuga-bridge", "for_s": 14400, "note": "",
    }  # fmt: skip


def test_maintenance_that_hides_an_alert_is_said_to(page: Page, house: House) -> None:
    """Where the station stands high the dialogue names the level, and only then it is forced."""
    for place, verb, force in (("kasuga-bridge", "それでも点検する", True), ("port", "点検中", None)):
        go(page, f"#/station/takamatsu/{place}")
        page.click("[data-act=maintenance]")
        assert ("いま氾濫危険水位です" in page.locator("dialog .sentence").inner_text()) == bool(force)
        page.fill("dialog textarea", "清掃")
        with page.expect_response("**/api/v1/acts"):  # the line of the act before may still stand there
            page.click(f"dialog button:has-text('{verb}')")
        assert (house.acts[-1]["kind"], house.acts[-1].get("force")) == ("maintenance", force)


def test_what_people_enter_goes_into_the_chronology(page: Page, house: House) -> None:
    """An order that came by telephone, with the time at which it was given."""
    go(page, "#/journal")
    expect(page.locator(".journal tbody tr")).to_have_count(5)
    expect(page.locator(".journal tr.corrected")).to_contain_text("（4で訂正）")
    page.click("main [data-act=entry]")
    page.select_option("dialog select[name=what]", "order")
    page.fill("dialog textarea", "避難指示　北部地区")
    page.fill("dialog input[type=datetime-local]", "2026-11-24T03:05")
    page.click("dialog button[value=yes]")
    expect(page.locator("#announced")).to_contain_text("記録しました")
    (act,) = house.acts
    assert (act["kind"], act["what"], act["text"], act["at_ms"]) == (
        "write",
        "order",
        "避難指示　北部地区",
        1795457100000,
    )


def test_the_next_shift_signs_the_hand_over(page: Page, house: House) -> None:
    """One shift writes what must be known, the next signs for it; both are rows of the chronology."""
    go(page, "#/handover")
    expect(page.locator("main")).to_contain_text("観測できない観測所（4）")
    expect(page.locator("main")).to_contain_text("まだ申し送りは書かれていません")
    page.click("[data-act=handover]")
    page.fill("dialog input[name=who]", "山田")
    page.fill("dialog textarea", "陶大橋は現地確認中")
    page.click("dialog button[value=yes]")
    expect(page.locator("#announced")).to_contain_text("記録しました")
    page.click("[data-act=sign]")
    page.fill("dialog input[name=who]", "佐藤")
    page.click("dialog button[value=yes]")
    expect(page.locator("dialog")).to_be_hidden()
    page.wait_for_timeout(200)
    assert [(x["what"], x["text"]) for x in house.acts] == [
        ("handover", "陶大橋は現地確認中（山田。警報5件、うち未対応4件、観測できない4局）"),
        ("signed", "佐藤が引き受け。警報5件（未対応4件）、観測できない4局"),
    ]


def test_a_written_hand_over_waits_for_a_signature(page: Page, house: House) -> None:
    """Unsigned is said; signed says by whom."""
    rows = house.answers["journal"]["rows"]
    rows.append(
        rows[2] | {"number": 6, "what": "handover", "text": {"ja": "陶大橋は現地確認中", "en": "x"}, "by": "山田"}
    )
    go(page, "#/handover")
    expect(page.locator(".passed")).to_contain_text("まだ引き受けの署名がありません")
    rows.append(rows[2] | {"number": 7, "what": "signed", "by": "佐藤"})
    page.reload()
    expect(page.locator(".passed")).to_contain_text("佐藤が")


def test_the_operations_view(page: Page, house: House) -> None:
    """Devices that are away first, with what they lack; a dead letter explained and taken again."""
    go(page, "#/operations")
    expect(page.locator(".house")).to_contain_text("2地点が未送信（503 busy）　拒否3件")
    away = page.locator("tr[data-key='takamatsu/toudai-01']")
    expect(away).to_contain_text("切断")
    expect(away).to_contain_text("99.13 %（欠3、機器に84）")
    expect(away).to_contain_text("+41.0 s")
    page.click("[data-act=explain]")
    expect(page.locator("dialog")).to_contain_text("correct the unit")
    page.click("dialog button[value=yes]")
    page.click("[data-act=replay]")
    page.click("dialog button[value=yes]")
    expect(page.locator("#announced")).to_contain_text("記録しました")
    assert house.acts == [{"path": "letters/replay", "ids": [7]}]


def test_who_only_views_presses_nothing(chromium: Browser, house: House) -> None:
    """A viewer sees all of it and finds no button that the server would refuse."""
    house.config["you"] = {"name": "記者", "role": "viewer", "via": "session"}
    with browser.opened(chromium, house.url) as (page, _):
        page.wait_for_selector("table tbody tr")
        for act in ("acknowledge", "judge", "together", "entry", "sound"):
            expect(page.locator(f"[data-act={act}]")).to_have_count(0)
        expect(page.locator(".queue")).to_contain_text("春日橋")


def test_who_is_nobody_is_asked_for_a_name(chromium: Browser, house: House) -> None:
    """Nothing is shown before the login; a wrong password is told in words; the right one opens the page."""
    house.closed = True
    house.config |= {"you": {"name": "", "role": "public", "via": "public"}, "staff": False}
    house.config["login"] = {"password": True, "oidc": "市の認証"}
    with browser.opened(chromium, house.url) as (page, _):
        banner = page.locator(".banner.gone")
        expect(banner).to_contain_text("ログインが必要です")
        expect(banner.locator("a[href='oidc/start']")).to_have_text("市の認証でログイン")
        for password in ("wrong", "correct"):
            banner.locator("[data-act=login]").click()
            page.fill("dialog input[name=name]", "山田")
            page.fill("dialog input[name=password]", password)
            page.click("dialog button[value=yes]")
            if password == "wrong":
                expect(page.locator("dialog")).to_contain_text("名前かパスワードが違います。")
                page.click("dialog button[value=yes]")
        expect(page.locator("table tbody tr")).to_have_count(12)


def test_bulletins_and_whether_they_are_received(chromium: Browser, house: House) -> None:
    """What holds, what was lifted, a drill; and three things that look alike from afar: nothing was issued, nothing can
    be received, nobody reads a feed."""
    drill = pagenight.bulletin(3, "レベル５氾濫特別警報　高松市", drill=True)
    house.board["bulletins"].append(drill)
    strip = ".bulletins"
    with browser.opened(chromium, house.url) as (page, complaints):
        expect(page.locator(f"{strip} .over")).to_contain_text("大雨警報（解除）　高松市")
        expect(page.locator(strip)).to_contain_text("【訓練】レベル５氾濫特別警報　高松市【訓練】")
        expect(page.locator(f"{strip} .none")).to_have_count(0)
        for feed, told in (
            ({"heard": pagenight.ago(12), "unheard": True, "reason": "answer 503"}, "受信できない（"),
            ({"heard": None, "unheard": True, "reason": None}, "まだ一度も受信していません"),
            ({"heard": pagenight.ago(0), "unheard": False, "reason": None}, "対象地域の発表なし（"),
            (None, "未接続（手入力のみ）"),
        ):
            house.board |= {"feed": feed, "bulletins": []}
            page.reload()
            expect(page.locator(strip)).to_contain_text(told)
        assert complaints == []


def test_the_public_sees_stations_and_no_names(chromium: Browser, house: House) -> None:
    """Without episodes, people or aids the page still stands."""
    house.config |= {"you": {"name": "", "role": "public", "via": "public"}, "staff": False}
    for key in ("episodes", "suspensions", "bulletins", "feed"):
        del house.board[key]
    with browser.opened(chromium, house.url) as (page, complaints):
        expect(page.locator("table tbody tr")).to_have_count(12)
        expect(page.locator(".queue")).to_have_count(0)
        assert complaints == []


CONTRAST = """
() => {
  const channel = (c) => { c /= 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const [r, g, b, a = 1] = rgb(getComputedStyle(e).backgroundColor);
      if (a > 0.99) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const e of document.querySelectorAll('body *')) {
    if (e.closest('svg, #map, dialog:not([open]), .unseen, [disabled]') || e.offsetParent === null) continue;
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.nodeValue.trim())) continue;
    const [one, other] = [light(rgb(getComputedStyle(e).color)), light(ground(e))].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (other + 0.05);
    if (ratio < 4.5) poor.push(`${e.className} ${e.textContent.slice(0, 20)} ${ratio.toFixed(2)}`);
  }
  return poor;
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", [browser.WALL, browser.PHONE])
def test_every_text_stands_out_from_its_ground(chromium: Browser, house: House, scheme: str, view: Any) -> None:
    """4.5 to 1 by day and by night (WCAG 1.4.3)."""
    with browser.opened(chromium, house.url, color_scheme=scheme, viewport=view) as (page, _):
        page.wait_for_selector("table tbody tr")
        for where in ("", KASUGA, "#/journal", "#/handover", "#/operations"):
            go(page, where)
            page.wait_for_timeout(400)
            assert page.evaluate(CONTRAST) == []
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), where


def test_the_phone_shows_what_waits_first_and_the_map_behind_a_tab(chromium: Browser, house: House) -> None:
    """One column, thumb-high buttons."""
    with browser.opened(chromium, house.url, viewport=browser.PHONE) as (page, _):
        page.wait_for_selector("table tbody tr")
        expect(page.locator("#map")).to_be_hidden()
        box = page.locator("[data-act=acknowledge]").first.bounding_box()
        assert box is not None
        assert box["height"] >= 44
        page.click("[data-tab=map]")
        expect(page.locator("#map .pin")).to_have_count(13)
        expect(page.locator(".queue")).to_be_hidden()

"""The city on one sheet of paper: what stands there, in which order, and what is never left out."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from gateway import board, config, papersheet
from gateway.board import Latest, Row
from gateway.bridge.outlets import Outlets
from gateway.bridge.papers import Papers, sheet
from gateway.channelstate import ChannelState
from gateway.disk import DISK
from gateway.errors import NoticeCode
from gateway.model import Condition, Flag
from gateway.papersheet import Sheet
from gateway.settings import Paper
from gateway.stations import Registry
from tests.places import LEVELS, MINUTE, T0, WATER_LEVEL, station
from tests.servers import wait_for
from tests.test_board import NOW, seen
from tests.test_cli_journal import House


def city(stories: list[ChannelState], flag: Flag = Flag.GOOD) -> list[Row]:
    places = [replace(station(f"s{n:03}", "gw", WATER_LEVEL), name_ja=f"第{n}橋") for n in range(len(stories))]
    registry = Registry(places, LEVELS)
    states = {(s.tenant, s.id, "water_level"): x for s, x in zip(places, stories, strict=True)}
    newest = {key: Latest(NOW, NOW, 1.0, flag, None, "gw") for key in states}
    return board.rows(registry, states, newest, NOW)


def text(rows: list[Row], **changes: object) -> str:
    return papersheet.html(replace(Sheet("水位監視", NOW, rows), **changes))  # type: ignore[arg-type]


SILENT = seen(1.0, 90, condition=Condition.SILENT)


def test_a_row() -> None:
    """Rank, name, level, distance, changes, age and state; what is calm is below."""
    out = text(city([seen(3.5, rank=2), seen(4.6, rank=5), SILENT, seen(1.0), seen(4.1, unconfirmed=4)]))
    table, _, calm = out.partition('<section class="calm">')
    assert table.index("第1橋") < table.index("第4橋") < table.index("第0橋") < table.index("第2橋")
    for part in (
        "3.50 m",
        "0.45 避難判断",
        "+0.10",
        "+0.60",
        "(2分)",
        "氾濫注意水位",
        "未確認",
        "未着",
        "+0.15（越）",
    ):
        assert part in table, part
    assert "第3橋" in calm
    assert "避難情報の発令ではありません" in out
    assert "全5局　避難判断水位以上 2　注意・待機 1　観測できない 1" in out


def test_no_colour_is_needed() -> None:
    """Black, white and greys alone."""
    out = text(city([seen(4.6, rank=5), SILENT]))
    assert set(re.findall(r"#[0-9a-fA-F]{3,6}\b", out)) <= {"#000", "#fff", "#999"}


def test_what_is_said_above_it() -> None:
    """A drill, a bridge that hears nothing, one that does not run."""
    out = text(city([seen(1.0)]), drill=True, stopped_ms=T0, running=False, waiting=3)
    assert out.count("【訓練】") == 2
    assert "受信停止：11月25日(火) 01:00から" in out
    assert "ブリッジ停止中" in out
    assert "未対応の警報 3件" in out
    english = papersheet.html(Sheet("Flood watch", NOW, city([seen(4.1, rank=4)])), "en")
    assert "flood danger level" in english
    assert not any("\u3040" <= c <= "\u30ff" for c in english), "no kana in English"


def test_only_what_is_calm_is_summed_up() -> None:
    """However many there are: what is not seen and what is above a level stands there by name."""
    rows = city([SILENT] * 40 + [seen(1.0)] * 300 + [seen(4.1, rank=4)] * 20)
    out = text(rows)
    named = [n for n in range(360) if f"第{n}橋" in out]
    assert set(range(40)) | set(range(340, 360)) <= set(named)
    assert f"ほか{360 - len(named)}局は平常（受信中）" in out
    few = text(city([SILENT] * 5 + [seen(1.0)] * 60))
    assert sum(f"第{n}橋" in few for n in range(65)) == 65
    assert "ほか" not in few


@pytest.mark.parametrize(
    ("flag", "ja", "en"),
    [(Flag.SUSPECT, "要確認", "suspect"), (Flag.FAIL, "異常値", "failed"), (Flag.MISSING, "欠測", "missing")],
)
def test_a_doubtful_value_is_not_normal(flag: Flag, ja: str, en: str) -> None:
    """It has a row that says so, however many are calm."""
    rows = city([seen(1.0)], flag) + city([seen(1.0)] * 300)[1:]
    for language, word in (("ja", ja), ("en", en)):
        table = papersheet.html(Sheet("", NOW, rows), language).partition("</table>")[0]  # type: ignore[arg-type]
        assert table.count("<tr>") == 2, "the head and this one"
        assert f'<td class="w">{word}</td>' in table
    assert "平常 299" in text(rows)


def test_what_is_not_seen_has_no_distance() -> None:
    """Its last value is in brackets: nobody knows how far it is now."""
    table, _, _ = text(city([SILENT, seen(4.1, rank=4, held=True, condition=Condition.FAULTY)])).partition("</table>")
    assert table.count('<td class="n">—</td><td class="n">—</td>') == 2
    assert "(1.00 m)" in table
    assert "(4.10 m)" in table
    assert "1.75 注意" not in table


def test_nothing_arrives_while_reception_has_stopped() -> None:
    """What was calm was so then."""
    for known in ({"stopped_ms": T0}, {"running": False}):
        for count in (3, 400):
            out = text(city([seen(1.0)] * count), **known)
            assert "停止前は平常" in out
            assert "受信中" not in out
    assert "停止前は平常" not in text(city([seen(1.0)] * 400))


def test_an_old_sheet_is_told_from_a_new_one() -> None:
    """When it was made, with the year; times of another day with their date."""
    yesterday, long_ago = seen(1.0, 23 * 60, condition=Condition.SILENT), seen(1.0, 4000, condition=Condition.SILENT)
    out = text(city([yesterday, long_ago]), received_ms=NOW - 3000 * MINUTE)
    assert "2025年11月25日(火) 02:00 作成（日本時間）" in out
    assert "03:00 (23時間)" in out
    assert "11/22 (2日)" in out
    assert "最後の受信 11月23日(日) 00:00" in out


def test_names_cannot_break_it() -> None:
    """A name with marks of HTML stands there as it is."""
    (row,) = city([seen(4.1, rank=4)])
    out = text([replace(row, station=replace(row.station, name_ja="<script>橋&"))])
    assert "&lt;script&gt;橋&amp;" in out
    assert "<script>" not in out


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "there").mkdir()
    with House(tmp_path / "there") as house:
        for n in range(13):
            house.reads(10.0 * n, 1.0 + n / 6)
    return tmp_path


def papers(folder: Path, now: list[int], to: Paper) -> Papers:
    bridge, registry = config.load_bridge(folder / "there")
    return Papers(to, bridge.store, lambda: registry, lambda: now[0], backoff_s=(0.01,))


def test_the_folder(folder: Path) -> None:
    """The newest sheet, a copy of each time, none that is too old; files of others stay."""
    to, now = Paper(folder / "paper", keep_s=1500), [T0 + 121 * MINUTE]
    mine = papers(folder, now, to)
    for _ in range(5):
        mine.write()
        now[0] += 10 * MINUTE
        (to.folder / "city-notes.html").write_text("mine")
    names = sorted(p.name for p in to.folder.iterdir())
    assert names == ["city-20251125T0321+0900.html", "city-20251125T0331+0900.html", "city-20251125T0341+0900.html",
                     "city-notes.html", "city.html"]  # fmt: skip
    out = (to.folder / "city.html").read_text()
    assert "春日橋" in out
    assert "未着" in out, "forty minutes later nobody knows"
    assert (to.folder / "city.html").stat().st_mode & 0o777 == 0o640


def test_a_folder_that_cannot_be_written(folder: Path) -> None:
    """Is told as a condition of the house, and written once it can be."""
    blocked = folder / "blocked"
    blocked.write_text("a file")
    mine = papers(folder, [T0], Paper(blocked))
    mine.start()
    wait_for("the failure", lambda: mine.failing is not None)
    bridge, registry = config.load_bridge(folder / "there")
    outlets = Outlets(replace(bridge, paper=Paper(blocked)), lambda: registry, lambda: T0, DISK)
    assert outlets.papers is not None
    outlets.papers.failing = mine.failing

    class Work:
        said: list[tuple[NoticeCode, bool]] = []  # noqa: RUF012

        def notice(self, code: NoticeCode, on: bool, detail: str = "") -> None:
            self.said.append((code, on))

    outlets.conditions(Work())  # type: ignore[arg-type]
    assert (NoticeCode.PAPER_WAITS, True) in Work.said
    blocked.unlink()
    wait_for("the sheet", lambda: mine.failing is None)
    mine.stop()
    assert (blocked / "city.html").exists()


def test_a_damaged_store_is_told(tmp_path: Path) -> None:
    """The thread goes on, so that the sheet is back when the store is."""
    with House(tmp_path) as house:
        store, registry = house.bridge.store, house.registry
    kept = store.read_bytes()
    store.write_bytes(b"no database at all" * 100)
    mine = Papers(Paper(tmp_path / "paper"), store, lambda: registry, lambda: T0, backoff_s=(0.01,))
    mine.start()
    wait_for("the failure", lambda: mine.failing is not None)
    store.write_bytes(kept)
    wait_for("the sheet", (tmp_path / "paper" / "city.html").exists)
    mine.stop()


def test_a_bridge_that_hears_nothing_says_so(tmp_path: Path) -> None:
    """From its own conditions, and since when: the sheet of a deaf bridge is not taken for calm."""
    with House(tmp_path) as house:
        house.reads(0, 1.0)
        store, registry = house.bridge.store, house.registry
        assert sheet(store, registry, T0 + MINUTE, "").stopped_ms is None
        work = house.work(7)
        work.notice(NoticeCode.NO_DATA, on=True)
        house.write(work)
        assert sheet(store, registry, T0 + 8 * MINUTE, "").stopped_ms == T0 + 7 * MINUTE
        now = [T0 + 8 * MINUTE]
        Papers(Paper(tmp_path / "paper"), store, lambda: registry, lambda: now[0]).write()
    out = (tmp_path / "paper" / "city.html").read_text()
    assert "受信停止：11月25日(火) 01:07から" in out
    late = sheet(store, registry, T0 + 400 * MINUTE, "", running=False)
    assert late.running is False
    assert all(x.condition is not Condition.FRESH for x in late.rows)

"""The sheet as a printer gets it: how many pages a real browser makes of it, and whether a word is cut."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from gateway import papersheet
from gateway.model import Condition
from gateway.papersheet import Language, Sheet
from tests import browser
from tests.places import WATER_LEVEL
from tests.test_board import NOW, seen
from tests.test_papersheet import SILENT, city

pytestmark = pytest.mark.live


def pages(html: str, folder: Path) -> int:
    page, pdf = folder / "city.html", folder / "city.pdf"
    page.write_text(html)
    command = [browser.program(), "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"]
    command += [f"--user-data-dir={folder / 'chromium'}", f"--print-to-pdf={pdf}", page.as_uri()]
    subprocess.run(command, capture_output=True, timeout=120, check=True)
    return len(re.findall(rb"/Type\s*/Page\b", pdf.read_bytes()))


@pytest.mark.parametrize("language", ["ja", "en"])
@pytest.mark.parametrize(
    ("silent", "danger", "calm", "wanted"),
    [(2, 3, 15, 1), (40, 4, 76, 1), (10, 36, 0, 1), (40, 4, 356, 1), (90, 20, 10, 3)],
)
def test_the_city_fits_on_a_page(
    silent: int, danger: int, calm: int, wanted: int, language: Language, tmp_path: Path
) -> None:
    """Up to 48 rows of what matters, whatever the number of calm stations; a city that is worse off has more pages."""
    assert WATER_LEVEL.thresholds
    rows = city([SILENT] * silent + [seen(4.1, rank=4)] * danger + [seen(1.0)] * calm)
    long = [
        replace(x, station=replace(x.station, name_ja=x.station.name_ja + "アンダーパス冠水検知所東")) for x in rows
    ]
    html = papersheet.html(Sheet("水位監視", NOW, long, waiting=3, drill=True, stopped_ms=NOW, running=False), language)
    assert pages(html, tmp_path) == wanted


CUT = """() => [...document.querySelectorAll('th, td, .calm li span')]
  .filter((x) => x.clientWidth && x.scrollWidth > x.clientWidth + 1).map((x) => x.textContent)"""


@pytest.mark.parametrize("language", ["ja", "en"])
def test_no_word_is_cut(language: Language, tmp_path: Path) -> None:
    """Neither of the name nor of what is wrong, in the rows that matter most, which take the lines that they need; the
    page holds what was reckoned."""
    worst = [
        seen(4.6, rank=5, unconfirmed=5, condition=Condition.LATE),
        seen(4.1, rank=3, unconfirmed=4, held=True, condition=Condition.SILENT, drops=2),
        seen(4.1, rank=4, held=True, condition=Condition.FAULTY),
        seen(3.0, 100, condition=Condition.LATE, rank=2),
        *[SILENT] * 8,
    ]
    rows = [
        replace(x, station=replace(x.station, name_ja="春日川" * 8, name_en="Kasuga river, upstream of the weir"))
        for x in city(worst)
    ] + city([seen(1.0)] * 300)
    page = tmp_path / "city.html"
    html = papersheet.html(Sheet("水位監視", NOW, rows, drill=True, stopped_ms=NOW), language)
    page.write_text(html)
    with browser.chromium() as opened:
        tab = opened.new_page(viewport={"width": 794, "height": 1123})
        tab.emulate_media(media="print")
        tab.goto(page.as_uri())
        assert tab.evaluate(CUT) == []
    assert pages(html, tmp_path) == 1

"""The sheet as a printer gets it: how many pages a real browser makes of it."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from gateway import papersheet
from gateway.papersheet import Sheet
from tests.places import WATER_LEVEL
from tests.servers import require
from tests.test_board import NOW, seen
from tests.test_papersheet import SILENT, city

pytestmark = pytest.mark.live


def pages(html: str, folder: Path) -> int:
    page, pdf = folder / "city.html", folder / "city.pdf"
    page.write_text(html)
    command = [require("chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"]
    command += [f"--user-data-dir={folder / 'chromium'}", f"--print-to-pdf={pdf}", page.as_uri()]
    subprocess.run(command, capture_output=True, timeout=120, check=True)
    return len(re.findall(rb"/Type\s*/Page\b", pdf.read_bytes()))


@pytest.mark.parametrize(
    ("silent", "danger", "calm", "wanted"),
    [(2, 3, 15, 1), (40, 4, 76, 1), (10, 36, 0, 1), (40, 4, 356, 1), (90, 20, 10, 3)],
)
def test_the_city_fits_on_a_page(silent: int, danger: int, calm: int, wanted: int, tmp_path: Path) -> None:
    """Up to 48 rows of what matters, whatever the number of calm stations; a city that is worse off has more pages."""
    assert WATER_LEVEL.thresholds
    rows = city([SILENT] * silent + [seen(4.1, rank=4)] * danger + [seen(1.0)] * calm)
    long = [
        replace(x, station=replace(x.station, name_ja=x.station.name_ja + "アンダーパス冠水検知所東")) for x in rows
    ]
    html = papersheet.html(Sheet("水位監視", NOW, long, waiting=3, drill=True, stopped_ms=NOW, running=False))
    assert pages(html, tmp_path) == wanted

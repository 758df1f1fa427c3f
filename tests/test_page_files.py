"""What the page is made of: words in both languages, nothing from elsewhere, a policy, and how much is transferred."""

from __future__ import annotations

import gzip
import http.client
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from gateway.errors import FaultCode, NoticeCode, RejectCode
from gateway.web import page
from tests import pagenight, pageserver, readme, servers

MOST = 300_000  # bytes, compressed, without tiles
OWN = [p for p in sorted(page.STATIC.iterdir()) if p.suffix in {".js", ".css", ".html", ".svg"}]
SCRIPTS = [p for p in OWN if p.suffix == ".js"]


def words(language: str) -> dict[str, str]:
    text = (page.STATIC / f"words_{language}.js").read_text(encoding="utf-8")
    return dict(re.findall(r"^  (\w+): '(.*)',$", text, re.MULTILINE))


def learned() -> dict[str, tuple[str, str]]:
    """The words that come with a view: (Japanese, English)."""
    text = (page.STATIC / "words_accounts.js").read_text(encoding="utf-8")
    table = text.partition("learn({")[2].partition("});")[0]
    said = r"""(?:'((?:[^'\\]|\\.)*)'|"([^"]*)")"""
    found = re.findall(rf"^  (\w+): \[\s*{said},\s*{said},?\s*\],$", table, re.MULTILINE)
    return {key: (a or b, c or d) for key, a, b, c, d in found}


def coded(name: str) -> list[str]:
    """The codes of a table of codes.js that have words in both languages."""
    text = (page.STATIC / "codes.js").read_text(encoding="utf-8")
    table = text.partition(f"export const {name} = {{")[2].partition("};")[0]
    return re.findall(r"""^  (\w+): \['[^']+', ['"]""", table, re.MULTILINE)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with pageserver.serve(pagenight.night()) as house:
        yield house.port


def get(port: int, path: str, **headers: str) -> tuple[int, Mapping[str, str], bytes]:
    """As it is written: no client tidies the path."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})
    got = connection.getresponse()
    found = got.status, {k.lower(): v for k, v in got.getheaders()}, got.read()
    connection.close()
    return found


def test_both_languages_say_the_same_things() -> None:
    """Every word stands in both languages, with the same facts to fill in."""
    ja, en = words("ja"), words("en")
    assert len(ja) > 100
    assert list(ja) == list(en)
    facts = re.compile(r"\{(\w+)\}")
    assert {k: sorted(facts.findall(v)) for k, v in ja.items()} == {k: sorted(facts.findall(v)) for k, v in en.items()}


def test_the_words_of_a_view_are_its_own() -> None:
    """In both languages, with the same facts, and under keys of their own."""
    found = learned()
    text = (page.STATIC / "words_accounts.js").read_text(encoding="utf-8")
    assert len(found) == len(re.findall(r"^  \w+: \[", text.partition("learn({")[2].partition("});")[0], re.MULTILINE))
    assert not found.keys() & words("ja").keys()
    for key, (ja, en) in found.items():
        assert sorted(re.findall(r"\{\w+\}", ja)) == sorted(re.findall(r"\{\w+\}", en)), key


def test_every_word_that_is_asked_for_exists() -> None:
    """t('…') names a key of the dictionaries."""
    known = words("ja") | learned()
    for path in SCRIPTS:
        for key in re.findall(r"\bt\('(\w+)'", path.read_text(encoding="utf-8")):
            assert key in known, f"{path.name}: {key}"


@pytest.mark.parametrize(("name", "codes"), [("REJECTS", RejectCode), ("NOTICES", NoticeCode), ("FAULTS", FaultCode)])
def test_every_code_has_words(name: str, codes: type[RejectCode | NoticeCode | FaultCode]) -> None:
    """Codes that the house may show are words on the page, in the order of the enumeration."""
    assert coded(name) == [code.value for code in codes]


def test_every_quality_test_has_words() -> None:
    """Those of the table in gateway/ALARM.md, in its order, and the mark of maintenance."""
    alarm = (readme.ROOT / "gateway" / "ALARM.md").read_text(encoding="utf-8")
    table = alarm.partition("| test | speaks where |")[2].partition("\n\n")[0]
    assert coded("TESTS") == [*re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE), "maintenance"]


def test_nothing_is_called_safe() -> None:
    """A level that falls is 『下回りました（監視継続）』; no gauge knows more."""
    assert not [v for v in words("ja").values() if "安全" in v or "解除" in v]


@pytest.mark.parametrize("path", OWN, ids=lambda p: p.name)
def test_nothing_comes_from_elsewhere(path: Path) -> None:
    """No address of another host, no absolute path, no markup made of strings."""
    text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://|(?:src|href|from|import|url)\s*[=(]?\s*['\"]/", text)
    assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", text)
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", text) or path.suffix != ".html"


@pytest.mark.parametrize("path", OWN, ids=lambda p: p.name)
def test_scripts_and_styles_keep_the_sizes_of_the_house(path: Path) -> None:
    """As of Python: a file that grows beyond its limit is looked at again."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 450


def test_the_whole_page_is_small() -> None:
    """Everything that the page can ever load, compressed: a slow line in the rain."""
    if not (page.STATIC / "vendor").is_dir():
        servers.missing("the page's libraries are not fetched")
    sizes = {name: len(f.packed) for name, f in page.files().items() if not name.endswith("LICENSE")}
    assert {"index.html", "main.js", "vendor/leaflet/leaflet.js", "vendor/uplot/uPlot.iife.min.js"} <= sizes.keys()
    assert sum(sizes.values()) <= MOST


def test_the_policy_names_us_and_the_tiles() -> None:
    """Scripts, styles and connections are ours; pictures may also be tiles, of their one host."""
    said = page.policy("https://tiles.example/{z}/{x}/{y}.png")
    policy = dict(part.strip().split(" ", 1) for part in said.split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["img-src"] == "'self' data: https://tiles.example"
    assert policy["frame-ancestors"] == "'none'"


def test_without_tiles_no_other_host_is_allowed() -> None:
    """Outlines alone need nobody."""
    assert "http" not in page.policy(None)
    assert "http" not in page.policy("/tiles/{z}/{x}/{y}.png")


@pytest.mark.parametrize("path", ["/", "/static/main.js", "/static/nothing"])
def test_every_answer_carries_the_policy(port: int, path: str) -> None:
    """Also what is not found."""
    _, headers, _ = get(port, path)
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


def test_files_are_compressed_and_revalidated(port: int) -> None:
    """Who has a file is told so; who cannot unpack gets it plain."""
    status, headers, packed = get(port, "/static/main.js", Accept_Encoding="gzip")
    assert (status, headers["content-encoding"]) == (200, "gzip")
    assert headers["content-type"] == "text/javascript; charset=utf-8"
    assert get(port, "/static/main.js", If_None_Match=headers["etag"])[0::2] == (304, b"")
    _, headers, plain = get(port, "/static/main.js")
    assert "content-encoding" not in headers
    assert plain == gzip.decompress(packed)


@pytest.mark.parametrize(
    "path", ["../page.py", "..%2fpage.py", "%2e%2e/page.py", "//etc/passwd", "nothing", "", "package.json", "%00"]
)
def test_no_path_leads_out(port: int, path: str) -> None:
    """Only what was read at the start is served."""
    status, _, body = get(port, f"/static/{path}")
    assert status == 404
    assert b"import" not in body

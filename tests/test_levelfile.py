"""levels.yaml: level tables as data, what is said of each mistake, and which row speaks for a station."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from gateway import config, levelfile, yamlfile
from gateway.stations import Channel, Contract, Registry, Station, Threshold

BUNDLED = (resources.files("gateway") / "levels.yaml").read_text(encoding="utf-8")
JP = config.load_levels("jp-2026")
GOOD = Path(__file__).parent / "configs" / "nothing-wrong"


def row(rank: int, more: str = "", key: str = "") -> str:
    """A level without a mistake."""
    exceeded = "" if rank == 0 else ", exceeded: {ja: 超過, en: exceeded}"
    return (
        f"    - {{rank: {rank}, key: {key or f'k{rank}'}, ja: 水位{rank}, en: level {rank}, short: {{ja: 短, en: s}}"
        f"{exceeded}, colour: '#FF2800', text: '#000000'{more}}}\n"
    )


def table(*rows: str) -> str:
    return "version: 1\ntables:\n  city:\n" + "".join(rows)


WHOLE = [row(rank) for rank in range(6)]

# (the mistake, the file, what is told)
MISTAKES = [
    ("nothing in it", "version: 1\ntables: {}\n", "2:9 nothing stands in it. Add at least one entry"),
    ("a table that is a word", "version: 1\ntables:\n  city: x\n", "3:9 'x' stands where a list of levels is expected"),
    (
        "a rank that is missing",
        table(*WHOLE[:3], *WHOLE[4:]),
        "3:3 rank 3 has no level for every station (one without 'hazard' and 'basis'). Add one",
    ),
    (
        "a rank that only underpasses have",
        table(*WHOLE[:4], row(4, ", hazard: underpass"), WHOLE[5]),
        "3:3 rank 4 has no level for every station (one without 'hazard' and 'basis'). Add one",
    ),
    (
        "a key twice",
        table(*WHOLE, row(5)),
        "10:22 'k5' stands twice. Say by 'hazard' or 'basis' which is for what",
    ),
    (
        "a key with two ranks",
        table(*WHOLE, row(5, ", hazard: tide", key="k4")),
        "10:14 'k4' has rank 5 here and rank 4 above. One key, one rank",
    ),
    (
        "out of order",
        table(*WHOLE, row(1, key="other")),
        "10:14 rank 1 stands below rank 5. Write the lowest rank first",
    ),
    (
        "a rank beyond the five",
        table(*WHOLE, row(6)),
        "10:14 6 is above 5",
    ),
    (
        "white on the red of rank 3",
        table(*WHOLE).replace("k3, ja: 水位3, en: level 3, short: {ja: 短, en: s}, exceeded: {ja: 超過, en: exceeded}, "
                              "colour: '#FF2800', text: '#000000'",
                              "k3, ja: 水位3, en: level 3, short: {ja: 短, en: s}, exceeded: {ja: 超過, en: exceeded}, "
                              "colour: '#FF2800', text: '#FFFFFF'"),
        "7:130 #FFFFFF on #FF2800 has a contrast of 3.8, below 4.5. Write '#000000'",
    ),
    (
        "a light colour without a ring",
        table(*WHOLE[:5], WHOLE[5].replace("#FF2800", "#F2E700")),
        "9:113 #F2E700 does not stand out from light grounds. Add 'ring: light'",
    ),
    (
        "a dark colour with the wrong ring",
        table(*WHOLE[:5], WHOLE[5].replace("#FF2800", "#0C000C").replace("'#000000'", "'#FFFFFF', ring: light")),
        "9:147 #0C000C does not stand out from dark grounds. Add 'ring: dark'",
    ),
    (
        "a colour by name",
        table(*WHOLE[:5], WHOLE[5].replace("'#FF2800'", "red")),
        "9:113 'red' is not a colour. Write it like '#AA00AA'",
    ),
    (
        "what no gauge can know",
        table(*WHOLE[:5], WHOLE[5].replace("水位5", "安全水位")),
        "9:30 '安全水位' says 『安全』, which no gauge can know. Leave it out",
    ),
    (
        "no words for what is reached",
        table(*WHOLE[:5], WHOLE[5].replace(", exceeded: {ja: 超過, en: exceeded}", "")),
        "9:7 'exceeded' is missing. Add for example 'exceeded: {ja: 水位5超過, en: level 5 exceeded}'",
    ),
    (
        "a shape that nobody draws",
        table(*WHOLE[:5], row(5, ", shape: star")),
        (
            "9:148 'star' is not known. Did you mean 'square'? (one of circle, triangle, square, diamond, octagon)"
        ),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "told"), [x[1:] for x in MISTAKES], ids=[x[0] for x in MISTAKES])
def test_mistakes(text: str, told: str) -> None:
    """Each mistake is told with its place and remedy, and its table is not used."""
    document = yamlfile.parse(text.encode(), "levels.yaml")
    found = levelfile.tables(document)
    assert "\n".join(f"{p.line}:{p.col} {p.message}" for p in document.problems) == told
    assert "city" not in found


def test_the_tables_that_come_with_suimon_are_without_a_mistake() -> None:
    """Each row of the bundled file bears its text, stands out from its ground, and promises nothing."""
    document = yamlfile.parse(BUNDLED.encode(), "levels.yaml")
    assert set(levelfile.tables(document)) == {"jp-2026", "generic"}
    assert document.problems == []


# (rank, hazard, basis, the name)
NAMES = [
    (0, "river", "", "平常"),
    (2, "river", "", "氾濫注意水位"),
    (2, "underpass", "", "冠水注意"),
    (3, "underpass", "", "避難判断水位"),
    (4, "underpass", "市の目安", "通行止め基準"),
    (4, "river", "危機管理型", "氾濫危険水位"),
    (5, "river", "基準水位観測所", "氾濫開始相当水位"),
    (5, "river", "危機管理型", "氾濫開始水位"),
]


@pytest.mark.parametrize(("rank", "hazard", "basis", "name"), NAMES)
def test_the_row_that_is_most_particular_speaks(rank: int, hazard: str, basis: str, name: str) -> None:
    """A rank is called by the row for its hazard and basis, else by the first row that is for all."""
    assert JP.by_rank(rank, hazard, basis).ja == name


def test_a_key_is_only_known_where_it_is_meant() -> None:
    """The levels of an underpass are none of a river's."""
    assert JP.by_key("closure") is None
    assert JP.by_key("closure", "river") is None
    assert "closure" in JP.keys("underpass")
    assert "closure" not in JP.keys("river")
    found = JP.by_key("overflow", "river", "危機管理型")
    assert found is not None
    assert found.exceeded_ja == "氾濫開始水位超過"


def station(hazard: str, *thresholds: Threshold) -> Station:
    channel = Channel("water_level", "water_level", Contract(60.0, 30.0), thresholds=thresholds)
    channels = {"water_level": channel}
    return Station("t", "s", "橋", "Bridge", 34.0, 134.0, "d", "T.P.", 0.0, channels, hazard=hazard)  # type: ignore[arg-type]


def mark(level: str, rank: int, basis: str) -> Threshold:
    return Threshold(level, rank, float(rank), "県", basis, "水防計画")


# (what, station, rank, key of the transition, the name)
CALLED = [
    ("by the key of the transition", station("river", mark("caution", 2, "")), 2, "dispatch", "出動水位"),
    ("by the threshold that stands there", station("river", mark("dispatch", 2, "")), 2, "", "出動水位"),
    ("by its basis", station("river", mark("overflow", 5, "危機管理型")), 5, "overflow", "氾濫開始水位"),
    ("of a rank without threshold", station("river"), 4, "", "氾濫危険水位"),
    ("of normal", station("river", mark("danger", 4, "")), 0, "", "平常"),
    ("by a key that the table no longer has", station("river"), 3, "gone", "避難判断水位"),
    ("of an underpass", station("underpass"), 4, "", "通行止め基準"),
]


@pytest.mark.parametrize(("s", "rank", "key", "name"), [x[1:] for x in CALLED], ids=[x[0] for x in CALLED])
def test_how_a_level_is_called_at_a_station(s: Station, rank: int, key: str, name: str) -> None:
    """A level is called as its threshold, its basis and the station's hazard say."""
    assert Registry([s], JP).level(s, s.channels["water_level"], rank, key).ja == name


def folder(tmp_path: Path, levels: str, bridge: str, station: str = "") -> Path:
    tmp_path.joinpath("levels.yaml").write_text(levels, encoding="utf-8")
    text = (GOOD / "stations.yaml").read_text(encoding="utf-8")
    tmp_path.joinpath("stations.yaml").write_text(text.replace("danger:", f"{station or 'danger'}:"), encoding="utf-8")
    tmp_path.joinpath("bridge.yaml").write_text(
        f"version: 1\nbroker: {{host: mqtt.example}}\nlevel_table: {bridge}\n", encoding="utf-8"
    )
    return tmp_path


def test_a_table_of_the_folder_is_named_by_the_bridge(tmp_path: Path) -> None:
    """A city's own table gives its thresholds their keys."""
    rows = [r.replace("k2", "caution") for r in WHOLE]
    _, registry = config.load_bridge(folder(tmp_path, table(*rows), "city", station="k4"))
    assert registry.levels.name == "city"
    assert [t.level for t in registry.stations["takamatsu", "kasuga-bridge"].channels["water_level"].thresholds] == [
        "caution",
        "k4",
    ]


def test_a_table_of_the_folder_replaces_one_of_the_same_name(tmp_path: Path) -> None:
    """Whoever redefines jp-2026 has that one in force."""
    text = BUNDLED.replace("ja: 氾濫危険水位\n", "ja: 特別な水位\n", 1)
    _, registry = config.load_bridge(folder(tmp_path, text, "jp-2026"))
    assert registry.levels.by_rank(4).ja == "特別な水位"


def test_a_mistake_in_levels_yaml_is_told_with_all_others(tmp_path: Path) -> None:
    """The file is checked with the rest, and a table with a mistake is not also told as unknown."""
    problems = config.check(folder(tmp_path, table(*WHOLE[:5]), "city"))
    assert [(p.file, p.path) for p in problems if p.file == "levels.yaml"] == [("levels.yaml", "tables.city")]
    assert not [p for p in problems if p.file == "bridge.yaml"]


def test_a_level_of_another_hazard_is_told(tmp_path: Path) -> None:
    """A river station with the closing level of an underpass is a mistake."""
    problems = config.check(folder(tmp_path, table(*WHOLE), "jp-2026", station="closure"))
    assert [p.message.partition(" (")[0] for p in problems] == [
        "'closure' is a level of 'hazard: underpass', and this station's is river"
    ]

"""The rules of the house that a machine can hold: who may import whom, what the core may know, sizes, codes."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from gateway.errors import (
    ActCode,
    CommandCode,
    FaultCode,
    GoneReason,
    LoginReason,
    MediumReason,
    NoticeCode,
    RejectCode,
)

ROOT = Path(__file__).parent.parent
FILES = sorted([*(ROOT / "gateway").rglob("*.py"), *(ROOT / "simulators").rglob("*.py")])

# From the bottom up. A module imports its own layer or lower ones; the pure core is the first two rows.
CORE = [
    {"model", "errors", "qualitylimits", "raingauge", "templates", "encodings"} | {"equipment"},
    {"units", "ranges", "stations", "profiles", "senml", "wire", "brokerfiles", "codecs", "foreign", "pipeline"}
    | {"letters", "gaps"}
    | {"qc", "quality"}
    | {"rain", "rainpast", "tide", "contacts"}
    | {
        "channelstate",
        "alerting",
        "reporting",
        "causes",
        "births",
        "episodes",
        "journal",
        "journalwords",
        "knownat",
        "cap",
        "people",
        "calling",
        "board",
        "bulletin",
        "ngsi",
        "papersheet",
        "ngsialert",
        "ngsigeo",
        "ngsild",
        "ngsiquery",
        "instants",
    }
    | {"judging", "trend", "plausible", "hindsight", "revision", "sluggish", "surge"},
]
LAYERS = [
    *CORE,
    {"disk"},
    {
        "settings",
        "websettings",
        "clock",
        "mqtt",
        "storefile",
        "storeschema",
        "letterfile",
        "gapfile",
        "loops",
        "systemd",
    }
    | {
        "peoplefile",
        "memberfile",
        "alertfile",
        "alertrows",
        "boardfile",
        "orionstanding",
        "bulletinstanding",
        "pastfile",
        "pastrows",
        "seriesfile",
        "capatom",
        "journalfile",
        "journalsheet",
        "restoring",
    }
    | {
        "yamlfile",
        "qualityfile",
        "fields",
        "busfields",
        "schema",
        "validation",
        "stationfile",
        "contractfile",
        "equipmentfile",
        "levelfile",
        "thresholdfile",
        "gaugefile",
        "tidefile",
        "thresholdcsv",
        "thresholdedit",
        "capfile",
        "orionfile",
        "bulletinfile",
        "sourcefile",
        "profilefile",
        "profileschema",
        "editorschema",
        "profilefacts",
        "readout",
        "profiledraft",
        "onesensor",
        "faultwords",
        "examplefile",
        "processfile",
        "serverfile",
        "busfile",
        "linefile",
        "linefields",
        "recipientfile",
        "secretfile",
        "wholefile",
        "devicefile",
        "enrolfile",
        "bundle",
        "enrolling",
        "templatefile",
        "webfile",
        "config",
    },
    {"edge", "bridge", "web"},
    {"scoring"},
    {"demo", "doctor", "doctormedia", "doctorlines", "cli", "__main__"},
]
SHELLS = {"edge", "bridge", "web"}
PURE_IN_BRIDGE = [
    f"gateway/bridge/{x}.py"
    for x in (
        *(
            "abroad",
            "act",
            "acts",
            "alerts",
            "around",
            "causing",
            "longlost",
            "causewords",
            "capping",
            "changeover",
            "changes",
            "inforce",
            "standing",
            "telling",
            "testwords",
        ),
        *("assessing", "deriving", "ledger", "notices", "noticewords", "timekeeping", "wording", "work"),
        *("facts", "wordfigures", "wording_ja", "wording_en"),
    )
]

# What the core may not know, as modules and as calls.
OUTSIDE = {
    "asyncio", "ctypes", "http", "importlib", "io", "logging", "mmap", "multiprocessing", "os", "pathlib", "paho",
    "pymodbus", "queue", "random", "secrets", "select", "shutil", "signal", "socket", "sqlite3", "ssl", "subprocess",
    "sys", "tempfile", "threading", "time", "urllib", "urllib3", "uuid", "yaml",
}  # fmt: skip
CLOCKS = {"now", "utcnow", "today"}

MAX_FILE_LINES = 450
MAX_FUNCTION_LINES = 50


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(path: Path) -> Iterator[str]:
    """Every module that a file names in an import, wherever the import stands, as `gateway.wire`."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = node.module or ""
            if node.level:  # the simulators, which travel inside the wheel under another name
                folder = path.parents[node.level - 1].relative_to(ROOT)
                source = ".".join([*folder.parts, *source.split(".")]).rstrip(".")
            if (ROOT / source.replace(".", "/")).is_dir():
                yield from (f"{source}.{alias.name}" for alias in node.names)
            else:
                yield source


def part_of(module: str) -> str | None:
    """`gateway.edge.spool` -> `edge`; None for what is not ours."""
    first, _, rest = module.partition(".")
    return rest.partition(".")[0] if first == "gateway" else None


def layer(part: str) -> int:
    found = [i for i, parts in enumerate(LAYERS) if part in parts]
    assert len(found) == 1, f"gateway/{part} stands in no layer of this test: place it"
    return found[0]


OURS = [path for path in FILES if name(path).startswith("gateway/") and name(path) != "gateway/__init__.py"]
SIMULATORS = [path for path in FILES if name(path).startswith("simulators/")]


def part_of_file(path: Path) -> str:
    return path.relative_to(ROOT / "gateway").with_suffix("").parts[0]


# --- (a) imports ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", OURS, ids=name)
def test_import_order(path: Path) -> None:
    """A module imports its own layer or lower ones, never a higher one."""
    own = layer(part_of_file(path))
    for module in imports(path):
        part = part_of(module)
        if part is not None and part != "__version__":
            assert layer(part) <= own, f"{name(path)} imports {module}"


def test_no_circles() -> None:
    """No two modules need each other, directly or through others."""
    known = {name(path).removesuffix(".py").removesuffix("/__init__").replace("/", "."): path for path in FILES}
    needs = {module: {m for m in imports(path) if m in known} for module, path in known.items()}
    while free := [module for module, others in needs.items() if not others & needs.keys()]:
        for module in free:
            del needs[module]
    assert needs == {}


@pytest.mark.parametrize("path", [p for p in OURS if part_of_file(p) in SHELLS], ids=name)
def test_shells_are_apart(path: Path) -> None:
    """Edge, bridge and web are processes of their own and never import each other."""
    others = {part_of(module) for module in imports(path)} & SHELLS
    assert others <= {part_of_file(path)}


@pytest.mark.parametrize("path", SIMULATORS, ids=name)
def test_simulators_know_no_shell(path: Path) -> None:
    """A simulator speaks through registers, so it can share no mistake with edge or bridge."""
    assert not {part_of(module) for module in imports(path)} & (SHELLS | {"demo", "cli"})


@pytest.mark.parametrize("path", [p for p in SIMULATORS if p.stem in {"stormyears", "gauge"}], ids=name)
def test_what_scores_the_alarm_shares_nothing_with_it(path: Path) -> None:
    """The rivers and the faults by which detection is measured come from code and constants of their own."""
    assert not any(module.partition(".")[0] == "gateway" for module in imports(path))


@pytest.mark.parametrize("path", [p for p in SIMULATORS if p.stem.startswith("foreign")], ids=name)
def test_devices_of_others_share_nothing_with_what_reads_them(path: Path) -> None:
    """They are written from their formats' own documents; of the gateway they know at most how to publish."""
    assert {module for module in imports(path) if part_of(module)} <= {"gateway.mqtt", "gateway.settings"}


@pytest.mark.parametrize("path", [p for p in OURS if part_of_file(p) not in {"cli", "demo"}], ids=name)
def test_the_gateway_needs_no_simulator(path: Path) -> None:
    """Only the demonstration and the command line know the simulators."""
    assert not any(module.partition(".")[0] == "simulators" for module in imports(path))


PURE = [p for p in OURS if part_of_file(p) in CORE[0] | CORE[1] or name(p) in PURE_IN_BRIDGE]


@pytest.mark.parametrize("path", PURE, ids=name)
def test_the_core_is_pure(path: Path) -> None:
    """The core, and the bridge's account, batch and wording, know no clock, socket, file, thread or log."""
    outside = {module for module in imports(path) if module.partition(".")[0] in OUTSIDE}
    assert not outside
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute):
            assert node.attr not in CLOCKS, f"{name(path)}:{node.lineno}: reads a clock"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"open", "print", "input"}, f"{name(path)}:{node.lineno}: {node.func.id}()"


@pytest.mark.parametrize("path", PURE, ids=name)
def test_the_core_has_no_globals(path: Path) -> None:
    """No function of the core changes what stands outside it."""
    assert not [node for node in ast.walk(tree(path)) if isinstance(node, ast.Global)]


def test_one_file_knows_the_mqtt_library() -> None:
    """Only gateway/mqtt.py imports paho, so that the library stays a decision of one file."""
    assert [name(p) for p in FILES if any(m.partition(".")[0] == "paho" for m in imports(p))] == ["gateway/mqtt.py"]


def test_one_place_reads_arguments_and_environment() -> None:
    """Only the command line reads sys.argv and the environment; the demonstration looks up programs on the PATH."""
    allowed = {name(p) for p in OURS if part_of_file(p) == "cli"} | {"gateway/demo/processes.py"}
    readers = set()
    for path in FILES:
        for node in ast.walk(tree(path)):
            taken = {alias.name for alias in node.names} if isinstance(node, ast.ImportFrom) else set()
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in {"sys", "os"}:
                taken = {node.attr}
            if taken & {"argv", "environ", "getenv", "environb"}:
                readers.add(name(path))
    assert readers <= allowed


# --- (b) errors are not swallowed -----------------------------------------------------------------------------------

# A failure in a thread is kept for the one that waits, which raises it.
HANDED_ON = {"simulators/run.py", "gateway/loops.py"}


def is_broad(node: ast.expr | None) -> bool:
    if isinstance(node, ast.Tuple):
        return any(is_broad(item) for item in node.elts)
    return node is None or (isinstance(node, ast.Name) and node.id in {"Exception", "BaseException"})


@pytest.mark.parametrize("path", FILES, ids=name)
def test_no_broad_except(path: Path) -> None:
    """Nothing catches every exception, unless it raises again."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ExceptHandler) and is_broad(node.type) and name(path) not in HANDED_ON:
            assert any(isinstance(inner, ast.Raise) for inner in ast.walk(node)), f"{name(path)}:{node.lineno}"
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
            assert not any(is_broad(arg) for arg in node.args), f"{name(path)}:{node.lineno}"


# --- (c) sizes and names --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FILES, ids=name)
def test_sizes(path: Path) -> None:
    """A file that grows beyond its limit, or a function, is looked at again."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_FILE_LINES
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < MAX_FUNCTION_LINES, f"{name(path)}:{node.lineno} {node.name}"


def test_names() -> None:
    """No file or folder is a drawer for anything."""
    words = {"util", "utils", "common", "base", "manager", "helpers", "misc"}
    assert not [name(p) for p in FILES if words & {*p.relative_to(ROOT).with_suffix("").parts}]


# --- (d) codes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("heading", "codes"),
    [
        ("Reject codes", RejectCode),
        ("Fault codes", FaultCode),
        ("Gone reasons", GoneReason),
        ("Notice codes", NoticeCode),
        ("Medium reasons", MediumReason),
        ("Command codes", CommandCode),
        ("Login reasons", LoginReason),
        ("Act codes", ActCode),
    ],
)
def test_codes_are_documented(heading: str, codes: type[RejectCode] | type[FaultCode] | type[GoneReason]) -> None:
    """The table of the document is the enumeration: the same codes in the same order, with the same sentence."""
    text = (ROOT / "gateway" / "README.md").read_text(encoding="utf-8")
    section = re.search(rf"^#+ {heading}$(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    assert section, f"gateway/README.md has no heading {heading!r}"
    lines = [line for line in section[1].splitlines() if line.startswith("|")]
    assert lines[0].startswith("| code |")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    assert [(row[0].strip("`"), row[1]) for row in rows] == [(code.value, code.sentence) for code in codes]


# --- (e) what the edge loads ----------------------------------------------------------------------------------------

LOADED = """
import sys
import gateway.cli.main, gateway.cli.edge, gateway.edge.agent
print(*sorted(sys.modules), sep="\\n")
"""


def test_the_edge_loads_nothing_of_the_bridge() -> None:
    """The agent runs without the bridge's, the demonstration's and the simulators' code and dependencies, so a device
    installs and loads none of them."""
    done = subprocess.run([sys.executable, "-c", LOADED], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {"gateway.edge.agent", "gateway.edge.spool", "gateway.cli.edge"} <= loaded
    unwanted = {"influxdb_client", "urllib3", "iotcore", "rich.live", "simulators", "gateway.bridge", "gateway.demo"}
    assert not {m for m in loaded if m in unwanted or any(m.startswith(f"{u}.") for u in unwanted)}

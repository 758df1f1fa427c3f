"""deploy/: what can be known of it without running containers. The broker really runs in tests/live."""

from __future__ import annotations

import ast
import dataclasses
import json
import operator
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway import config, processfile, settings, units, wire
from gateway.edge import uplink
from gateway.model import ClockState, Reading, Sample
from tests.servers import influxdb, require, running

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
MIB = 2**20


def load(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))


# --- the broker's limits


def directives(*names: str) -> dict[str, str]:
    """The settings of files of mosquitto, without comments."""
    lines = [line for name in names for line in (DEPLOY / "mosquitto" / name).read_text().splitlines()]
    return dict(line.split(maxsplit=1) for line in lines if line and not line.startswith("#"))


CONF = directives("mosquitto.conf")
_OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


def worked_out(formula: str, known: dict[str, float]) -> float:
    """The value of a formula of the file's comment: numbers, known names, + - * / and max()."""

    def value(node: ast.expr) -> float:
        match node:
            case ast.Constant(int() | float() as number):
                return number
            case ast.Name(name):
                return known[name]
            case ast.BinOp(left, op, right):
                return _OPERATORS[type(op)](value(left), value(right))
            case ast.Call(ast.Name("max"), arguments):
                return max(map(value, arguments))
        raise ValueError(ast.dump(node))

    return value(ast.parse(formula, mode="eval").body)


def figures() -> tuple[dict[str, float], dict[str, tuple[str, float]]]:
    """(what the comment of mosquitto.conf states, what it concludes as formula and number)."""
    stated, concluded = {}, {}
    for line in (DEPLOY / "mosquitto/mosquitto.conf").read_text().splitlines():
        if found := re.fullmatch(r"# (\w+) += (.+) = ([\d.]+)", line):
            concluded[found[1]] = (found[2], float(found[3]))
        elif found := re.fullmatch(r"# (\w+) += ([\d.]+)(?: {2,}.*)?", line):
            stated[found[1]] = float(found[2])
    return stated, concluded


STATED, CONCLUDED = figures()


@pytest.mark.parametrize("name", CONCLUDED)
def test_every_limit_follows_from_the_stated_figures(name: str) -> None:
    """Each conclusion in the comment is its formula worked out, and the setting of that name has that value."""
    known = STATED | {other: number for other, (_, number) in CONCLUDED.items()}
    formula, number = CONCLUDED[name]
    assert worked_out(formula, known) == pytest.approx(number)
    if name != "memory_bytes":
        assert float(CONF[name]) == number


def test_no_limit_is_left_to_mosquittos_default() -> None:
    """Whatever decides what is kept, for how long and for whom is said in the file."""
    assert CONCLUDED.keys() - {"memory_bytes"} <= CONF.keys()
    assert CONF["persistence"] == CONF["retain_available"] == "true"
    assert CONF["allow_anonymous"] == CONF["allow_zero_length_clientid"] == CONF["queue_qos0_messages"] == "false"
    assert {"password_file", "acl_file", "user", "persistent_client_expiration", "autosave_on_changes"} <= CONF.keys()
    assert "message_size_limit" not in CONF  # it would drop a message and acknowledge it


def test_the_stated_figures_are_those_of_the_programs() -> None:
    """The figures that come from our own programs are theirs, and real messages are no longer than stated."""
    defaults = {f.name: f.default for f in dataclasses.fields(settings.Bridge)}
    assert STATED["payload_bytes"] == defaults["max_payload"]
    assert STATED["backlog_samples"] == processfile.MAX_IN_FLIGHT
    assert STATED["resend_seconds"] == uplink.RESEND_FIRST_S
    assert STATED["statement_per_minute"] == 60 / uplink.STATEMENT_EVERY_S
    values = (("water_level", "m", 12.345), ("battery_voltage", "V", 12.61), ("read_counter", "count", 4294967295.0))
    readings = tuple(Reading("kasuga-bridge", channel, unit, value) for channel, unit, value in values)
    samples = [
        Sample("7d1f9c2ab4e0", 18_231_000 + i, 1_764_000_000_123 + i, ClockState.HOLDOVER, readings) for i in range(100)
    ]
    assert len(wire.encode_pack(samples[:1])) <= STATED["live_bytes"]
    assert len(wire.encode_pack(samples)) <= STATED["sample_bytes"] * len(samples)


def test_a_session_outlives_the_outage_it_is_sized_for() -> None:
    """A session is forgotten only long after its queue was full."""
    found = re.fullmatch(r"(\d+)d", CONF["persistent_client_expiration"])
    assert found
    assert int(found[1]) * 24 > 10 * STATED["bridge_away_hours"]


def test_the_services_give_the_broker_the_memory_it_needs() -> None:
    """Container and systemd unit allow 1.5 times the memory of full queues, and not twice as much."""
    need = 1.5 * CONCLUDED["memory_bytes"][1]
    unit = (DEPLOY / "systemd/mosquitto.service.d/suimon.conf").read_text()
    found = re.search(r"^MemoryMax=(\d+)M$", unit, re.M)
    assert found
    assert need <= int(found[1]) * MIB < need * 4 / 3
    assert need <= int(load("compose.yaml")["services"]["mosquitto"]["mem_limit"].rstrip("m")) * MIB < need * 4 / 3


def test_the_devices_listener_is_tls_and_bounded() -> None:
    """Devices come in by TLS, under their user name as client id, twice as many as there are at most."""
    listener = directives("conf.d/devices.conf")
    assert listener["listener"] == "8883"
    assert {"certfile", "keyfile"} <= listener.keys()
    assert listener["use_username_as_clientid"] == "true"
    assert int(listener["max_connections"]) == 2 * STATED["devices"]


def test_the_unencrypted_listener_stays_on_the_machine() -> None:
    """The listener without TLS is bound to loopback on a machine, and unpublished in the container."""
    assert directives("conf.d/00-here.conf")["listener"] == "1883 127.0.0.1"
    assert directives("container/00-here.conf")["listener"] == "1883"
    assert not [port for port in load("compose.yaml")["services"]["mosquitto"]["ports"] if "1883" in port]


def test_the_acl_names_the_kinds_of_the_wire_contract() -> None:
    """A device may write exactly the kinds that come from a device, and read receipt, cmd and the bridge's status."""
    lines = (DEPLOY / "mosquitto/acl").read_text().splitlines()
    assert all(re.match(r"#|$|user |pattern (read|write) |topic (read|write) ", line) for line in lines)
    written = {line.rsplit("/", 1)[1] for line in lines if line.startswith("pattern write suimon/v1/%u/")}
    assert written == set(wire.FROM_DEVICE)
    read = {line.split()[2] for line in lines if line.startswith("pattern read ")}
    assert read == {"suimon/v1/%u/receipt", "suimon/v1/%u/cmd", wire.BRIDGE_STATUS}
    assert len([line for line in lines if line.startswith("pattern")]) == len(written) + len(read)


# --- compose

COMPOSE = load("compose.yaml")
SERVICES = COMPOSE["services"]


def test_the_services_are_four() -> None:
    """Broker, bridge, InfluxDB 2 and Grafana, nothing else."""
    assert SERVICES.keys() == {"mosquitto", "bridge", "influxdb", "grafana"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_pinned_bounded_watched_and_restarted(name: str) -> None:
    """Every service has a pinned image, a named volume, a memory limit, a bounded log, a health check and a restart
    policy, and gains no privileges."""
    service = SERVICES[name]
    assert re.fullmatch(r"[a-z/-]+:\d+\.\d+\.\d+", service["image"])
    named = [v.split(":")[0] for v in service["volumes"] if v.split(":")[0] in COMPOSE["volumes"]]
    assert named
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert service["restart"] == "unless-stopped"
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert service["healthcheck"].keys() == {"test", "interval", "timeout", "retries", "start_period"}
    assert "no-new-privileges:true" in service["security_opt"]


def test_every_volume_is_used_once() -> None:
    """No two services share state, and none is declared for nothing."""
    used = [v.split(":")[0] for service in SERVICES.values() for v in service["volumes"]]
    assert sorted(v for v in used if v in COMPOSE["volumes"]) == sorted(COMPOSE["volumes"])


def test_only_the_devices_port_leaves_the_machine() -> None:
    """Every published port is bound to loopback, but the TLS listener for devices."""
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert "8883:8883" in ports
    assert all(port.startswith("127.0.0.1:") for port in ports if port != "8883:8883")


def test_whatever_is_mounted_is_there_and_read_only() -> None:
    """Every file mounted from the repository exists and cannot be written by a container."""
    mounts = [
        v for service in SERVICES.values() for v in service["volumes"] if v.split(":")[0] not in COMPOSE["volumes"]
    ]
    for mount in mounts:
        source, _, mode = re.sub(r"\$\{\w+:-([^}]+)\}", r"\1", mount).split(":")
        assert (DEPLOY / source).exists()
        assert mode == "ro"
    assert os.access(DEPLOY / "influxdb/10-grafana-reader.sh", os.X_OK)  # else InfluxDB's image passes over it


def test_containers_cannot_write_outside_their_volumes_where_possible() -> None:
    """Read-only with no capability left; InfluxDB's image, which begins as root, is the one exception."""
    for name in SERVICES.keys() - {"influxdb"}:
        assert SERVICES[name]["read_only"] is True
        assert SERVICES[name]["cap_drop"] == ["ALL"]


def test_secrets_are_files_outside_the_repository() -> None:
    """Every secret used is declared as a file in the ignored folder, every declared one is used, and no environment
    variable or committed file holds one."""
    used = [s if isinstance(s, str) else s["source"] for service in SERVICES.values() for s in service["secrets"]]
    assert set(used) == COMPOSE["secrets"].keys()
    assert all(s["file"].startswith("${SUIMON_SECRETS:-./secrets}/") for s in COMPOSE["secrets"].values())
    assert {"/secrets/", "/.env"} <= set((DEPLOY / ".gitignore").read_text().split())
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            secret = re.search(r"PASSWORD|TOKEN|SECRET", key)
            assert not secret or value.startswith("/run/secrets/")


def test_the_files_that_name_a_secret_are_given_it() -> None:
    """A path below /run/secrets in a service or in a file mounted into it is one of that service's secrets."""
    mounted = {"bridge": ["config/bridge.yaml"], "influxdb": ["influxdb/10-grafana-reader.sh"]}
    mounted["grafana"] = ["grafana/provisioning/datasources/suimon.yaml"]
    for name, service in SERVICES.items():
        texts = [json.dumps(service)] + [(DEPLOY / file).read_text() for file in mounted.get(name, [])]
        wanted = {word for text in texts for word in re.findall(r"/run/secrets/(\w+)", text)}
        targets = {s if isinstance(s, str) else s["source"] for s in service["secrets"]}
        assert wanted <= targets


def test_the_bridge_waits_for_nobody() -> None:
    """The bridge starts without broker and database: an alarm does not wait for InfluxDB."""
    assert not [name for name, service in SERVICES.items() if "depends_on" in service]


def test_every_variable_is_in_the_example() -> None:
    """Each variable of the compose file has a default and stands in .env.example, which knows no other."""
    text = (DEPLOY / "compose.yaml").read_text()
    variables = re.findall(r"(?<!\$)\$\{(\w+)(:-[^}]+)?\}", text)
    assert all(default for _, default in variables)
    example = re.findall(r"^(\w+)=(.*)$", (DEPLOY / ".env.example").read_text(), re.M)
    assert {f"{name}:-{value}" for name, value in example} == {name + default for name, default in variables}


# --- the bridge's image


def dockerfile() -> list[tuple[str, str]]:
    """(instruction, rest) of each line, continued lines joined."""
    text = re.sub(r"\\\n\s*", " ", (DEPLOY / "Dockerfile.bridge").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in lines]


def test_the_image_is_built_in_two_pinned_stages_and_runs_without_root() -> None:
    """Two stages from one pinned Python, the second without the tools of the first; the process is a plain user."""
    lines = dockerfile()
    bases = [rest.split()[0] for instruction, rest in lines if instruction == "FROM"]
    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm", bases[0])
    last = lines[max(i for i, (instruction, _) in enumerate(lines) if instruction == "FROM") :]
    assert ("USER", "10001:10001") in last
    assert not [rest for instruction, rest in last if instruction == "RUN" and re.search(r"\b(pip|uv|apt)", rest)]
    assert not [instruction for instruction, _ in lines if instruction in ("ADD", "ARG")]


def test_the_image_holds_the_locked_dependencies_of_the_bridge() -> None:
    """What is installed is the lock file's, by hash, with the extra `bridge`, and the wheel brings nothing else."""
    runs = " ".join(rest for instruction, rest in dockerfile() if instruction == "RUN")
    assert re.search(r"uv==\d+\.\d+\.\d+", runs)
    assert "uv export --frozen --no-dev --extra bridge" in runs
    assert "--require-hashes" in runs
    assert re.search(r"--no-deps dist/suimon-\*\.whl", runs)


def test_what_the_image_copies_is_there_and_let_through() -> None:
    """Every source of COPY exists, and the ignore file lets these through and nothing else."""
    copies = [rest.split()[:-1] for instruction, rest in dockerfile() if instruction == "COPY" and "--from" not in rest]
    sources = {source for copy in copies for source in copy}
    assert all((ROOT / source).exists() for source in sources)
    ignored = (DEPLOY / "Dockerfile.bridge.dockerignore").read_text().split("\n")
    assert "*" in ignored
    assert {line[1:] for line in ignored if line.startswith("!")} == sources


def test_image_compose_and_units_start_the_same_program() -> None:
    """The container runs this version's `suimon bridge run` on the folder that compose mounts; the units likewise."""
    lines = dict(dockerfile())
    words = json.loads(lines["ENTRYPOINT"]) + json.loads(lines["CMD"])
    assert words == ["/opt/suimon/bin/suimon", "bridge", "run", "--config", "/etc/suimon"]
    assert any(volume.endswith(":/etc/suimon:ro") for volume in SERVICES["bridge"]["volumes"])
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert SERVICES["bridge"]["image"] == f"suimon-bridge:{version}"
    for name in ("bridge", "edge"):
        unit = (DEPLOY / f"systemd/suimon-{name}.service").read_text()
        assert f"\nExecStart=/opt/suimon/bin/suimon {name} run --config /etc/suimon\n" in unit


# --- systemd


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A root folder with this system's own units, ours installed as the README says, and empty programs where the
    units expect programs: so the committed files are verified as they are, and only what is wrong in them speaks."""
    own_units = Path("/usr/lib/systemd/system")
    if not own_units.is_dir():
        pytest.skip("this machine has no systemd units")
    shutil.copytree(own_units, tmp_path / "usr/lib/systemd/system", symlinks=True)
    etc = tmp_path / "etc/systemd/system"
    shutil.copytree(DEPLOY / "systemd", etc)
    if not (own_units / "mosquitto.service").exists():
        (etc / "mosquitto.service").write_text("[Service]\nType=notify\nExecStart=/usr/sbin/mosquitto\n")
    programs = ["opt/suimon/bin/suimon", "usr/local/lib/suimon/set-aside-broken-db", "usr/sbin/mosquitto"]
    programs += ["bin/mkdir", "bin/chown", "bin/kill"]
    for program in programs:
        (tmp_path / program).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / program).write_text("#!/bin/sh\n")
        (tmp_path / program).chmod(0o755)
    return tmp_path


def verify(machine: Path, unit: str) -> str:
    arguments = [require("systemd-analyze"), "verify", f"--root={machine}", unit]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "unit", ["suimon-edge.service", "suimon-bridge.service", "suimon-web.service", "mosquitto.service"]
)
def test_systemd_has_nothing_to_say_of_a_unit(machine: Path, unit: str) -> None:
    """`systemd-analyze verify` prints nothing at all: for an unknown key it prints a line and exits with 0."""
    assert verify(machine, unit) == ""


def test_a_mistake_in_a_unit_would_be_seen(machine: Path) -> None:
    """The check above is able to fail: an unknown key and an unknown program are told."""
    unit = machine / "etc/systemd/system/suimon-edge.service"
    unit.write_text(unit.read_text().replace("Restart=always", "Restarts=always").replace("/bin/suimon", "/bin/sumon"))
    said = verify(machine, "suimon-edge.service")
    assert "Restarts" in said
    assert "/opt/suimon/bin/sumon is not executable" in said


@pytest.mark.parametrize("name", ["edge", "bridge", "web"])
def test_a_unit_never_gives_up_and_never_waits_for_the_network(name: str) -> None:
    """Restarted without a limit; ordered after neither the network nor the setting of the clock."""
    text = (DEPLOY / f"systemd/suimon-{name}.service").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert {"StartLimitIntervalSec=0", "Restart=always"} <= set(lines)
    order = [line for line in lines if re.match(r"(After|Wants|Requires|BindsTo)=", line)]
    assert not [line for line in order if re.search(r"network|time-s", line)]


@pytest.mark.parametrize("name", ["edge", "bridge"])
def test_a_unit_is_shut_in(machine: Path, name: str) -> None:
    """systemd's own assessment of what the service could do beyond its task stays below 2 of 10."""
    arguments = [require("systemd-analyze"), "security", "--offline=true", f"--root={machine}", "--threshold=20"]
    done = subprocess.run([*arguments, f"suimon-{name}.service"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout


def test_the_user_of_the_units_is_made() -> None:
    """The unit's user and group are the ones that the sysusers file declares."""
    declared = re.findall(r"^u (\w+) ", (DEPLOY / "systemd/suimon.sysusers.conf").read_text(), re.M)
    for name in ("edge", "bridge"):
        unit = (DEPLOY / f"systemd/suimon-{name}.service").read_text()
        assert [f"User={declared[0]}", f"Group={declared[0]}"] == re.findall(r"^(?:User|Group)=\w+", unit, re.M)


# --- the example configuration


def test_the_example_configuration_has_no_problem(tmp_path: Path) -> None:
    """The folder for the compose file, and the same with the device's file in it, pass `suimon check`; only the
    secrets, which cannot be in the repository, are put somewhere else."""
    folder = tmp_path / "config"
    shutil.copytree(DEPLOY / "config", folder)
    assert {problem.path for problem in config.check(folder)} == {"broker.password_file", "influx.token_file"}
    shutil.copy(DEPLOY / "edge/edge.yaml", folder)
    secret = tmp_path / "secret"
    secret.write_text("x")
    for name in ("bridge.yaml", "edge.yaml"):
        text = (folder / name).read_text(encoding="utf-8")
        text, count = re.subn(r"(_file: )[\w/.]+", rf"\g<1>{secret}", text)
        assert count
        (folder / name).write_text(text, encoding="utf-8")
    assert config.check(folder) == []


def test_the_example_device_is_the_one_of_the_example_stations() -> None:
    """The device of edge.yaml serves a station of stations.yaml, under the user name that the ACL expects."""
    edge, stations = load("edge/edge.yaml"), load("config/stations.yaml")
    assert edge["tenant"] == stations["tenant"]
    assert edge["broker"]["username"] == f"{edge['tenant']}/{edge['device']}"
    served = {name for name, station in stations["stations"].items() if station["device"] == edge["device"]}
    assert {sensor["station"] for sensor in edge["sensors"].values()} == served


def test_the_example_says_that_it_is_fictional() -> None:
    """Nobody takes the heights of the example for real ones."""
    for name in ("config/stations.yaml", "edge/edge.yaml"):
        assert "fictional" in (DEPLOY / name).read_text(encoding="utf-8").splitlines()[0]
    thresholds = [
        threshold
        for station in load("config/stations.yaml")["stations"].values()
        for channel in station["channels"].values()
        for threshold in channel.get("thresholds", {}).values()
    ]
    assert thresholds
    assert all("架空の例" in threshold["source"] for threshold in thresholds)


# --- Grafana

DASHBOARD = json.loads((DEPLOY / "grafana/dashboards/water-level.json").read_text(encoding="utf-8"))
TAGS = {"tenant", "station", "channel"}
FIELDS = {"value", "flag", "raw", "fault", "device", "received_at"}


def queries() -> Iterator[str]:
    """Everything that the dashboard asks InfluxDB."""
    for panel in DASHBOARD["panels"]:
        yield from (target["query"] for target in panel.get("targets", []))
    yield from (variable["query"] for variable in DASHBOARD["templating"]["list"])


@pytest.mark.parametrize("query", list(queries()))
def test_a_query_asks_for_what_the_bridge_writes(query: str) -> None:
    """Measurements, tags and fields are those of the wire contract, whose schema is frozen."""
    measurements = set(re.findall(r'FROM "(\w+)"', query))
    assert measurements
    assert measurements <= units.QUANTITIES.keys()
    aliases = set(re.findall(r'AS "(\w+)"', query))
    grouped = re.search(r"GROUP BY (.*?)(?: fill|$)", query)
    assert not grouped or set(re.findall(r'"(\w+)"', grouped[1])) <= TAGS
    assert set(re.findall(r'"(\w+)"', query)) - measurements - aliases <= TAGS | FIELDS
    assert set(re.findall(r'"(\w+)" =~', query)) <= TAGS
    assert set(re.findall(r'(?:max|last|count)\("(\w+)"\)', query)) <= FIELDS


def test_the_dashboard_shows_levels_age_and_flags() -> None:
    """The panels: water level, age of the data, arrival, and a count of each QARTOD flag."""
    asked = list(queries())
    assert any('max("value")' in query for query in asked)
    assert any(re.search(r'last\("flag"\).*now\(\) - 30d', query) for query in asked)
    assert {int(flag) for query in asked for flag in re.findall(r'"flag" = (\d)', query)} == {1, 2, 3, 4, 9}
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)


def test_the_provisioned_data_source_is_the_one_asked() -> None:
    """One data source, in InfluxQL, on the compose file's InfluxDB and its bucket; every panel uses it."""
    (source,) = load("grafana/provisioning/datasources/suimon.yaml")["datasources"]
    assert source["jsonData"]["version"] == "InfluxQL"
    assert source["url"] == "http://influxdb:8086"
    assert source["jsonData"]["dbName"] == SERVICES["influxdb"]["environment"]["DOCKER_INFLUXDB_INIT_BUCKET"]
    assert source["secureJsonData"]["password"].startswith("$__file{/run/secrets/")
    used = set(re.findall(r'"uid": "([\w-]+)"', json.dumps([DASHBOARD["panels"], DASHBOARD["templating"]])))
    assert used == {source["uid"]}
    (provider,) = load("grafana/provisioning/dashboards/suimon.yaml")["providers"]
    mounted = [v for v in SERVICES["grafana"]["volumes"] if v.startswith("./grafana/dashboards:")]
    assert mounted == [f"./grafana/dashboards:{provider['options']['path']}:ro"]


@pytest.mark.live
def test_influxdb_answers_every_query_of_the_dashboard(tmp_path: Path) -> None:
    """InfluxDB 1.x, which speaks the same InfluxQL as 2.x and 3.x, understands each query and finds what the bridge's
    own writer wrote, a fault without a value included."""
    import time
    import urllib.parse
    import urllib.request

    from gateway.bridge import influx

    now = time.time_ns() // 1_000_000
    with running(influxdb(tmp_path / "influxdb")) as server:

        def ask(path: str, body: bytes | None = None, **parameters: str) -> bytes:
            url = f"http://127.0.0.1:{server.port}/{path}?{urllib.parse.urlencode(parameters)}"
            with urllib.request.urlopen(urllib.request.Request(url, data=body), timeout=10) as answer:
                return bytes(answer.read())

        ask("query", b"", q="CREATE DATABASE suimon")
        head = (1, "takamatsu", "kasuga-bridge", "water_level", "water_level")
        points: list[influx.Point] = [
            (*head, now - 120_000, now, 1.2, 2.4, 1, None, "kasuga-01"),
            (*head, now - 60_000, now, None, None, 9, "no_echo", "kasuga-01"),
        ]
        lines = "\n".join(influx.line(point, strings=True) for point in points)
        ask("write", lines.encode(), db="suimon", precision="ms")
        for query in queries():
            asked = re.sub(r"\$(tenant|station)", ".*", query)
            asked = asked.replace("$timeFilter", "time > now() - 1h AND time < now()").replace("$__interval", "1m")
            assert "$" not in asked.replace("*$/", "")
            (result,) = json.loads(ask("query", q=asked, db="suimon", epoch="ms"))["results"]
            assert "error" not in result
            absent = re.search(r'"flag" = [234] ', query)
            assert ("series" in result) != bool(absent)
            if 'last("flag")' in query:
                (series,) = result["series"]
                last = dict(zip(series["columns"], series["values"][0], strict=True))
                assert (last["time"], last["flag"], last["fault"]) == (now - 60_000, 9, "no_echo")
                assert (last["value"], last["raw"], last["device"]) == (None, None, "kasuga-01")


# --- the rest


@pytest.mark.parametrize("script", ["mosquitto/set-aside-broken-db", "influxdb/10-grafana-reader.sh"])
def test_a_script_can_be_read_by_its_shell(script: str) -> None:
    """The script is executable and its shell finds no mistake of form."""
    file = DEPLOY / script
    assert os.access(file, os.X_OK)
    shell = file.read_text().splitlines()[0].removeprefix("#!")
    subprocess.run([require(Path(shell).name), "-n", str(file)], check=True)


def test_the_readme_names_files_that_exist() -> None:
    """Every path of deploy/ that the README names is there, and the README says what was not run."""
    text = (DEPLOY / "README.md").read_text(encoding="utf-8")
    named = {word.rstrip("/") for word in re.findall(r"`deploy/([\w./-]*)`", text)}
    for name in named:
        assert (DEPLOY / name).exists(), name
    assert "\n## Not run here\n" in text


def test_the_readme_states_the_brokers_arithmetic_as_configured() -> None:
    """The figures of the README are those of mosquitto.conf."""
    text = (DEPLOY / "README.md").read_text(encoding="utf-8")
    numbers = [STATED["devices"], STATED["bridge_away_hours"], *(number for _, number in CONCLUDED.values())]
    for number in numbers:
        assert f"{number:,.0f}" in text

"""edge.yaml and bridge.yaml: what is said of each mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway import config, processfile, yamlfile

GOOD = Path(__file__).parent / "configs" / "nothing-wrong"
PROFILES = config.load_profiles(GOOD, [])

# (file, the mistake, what is replaced in the good file, by what, what is told: line:col and sentence)
MISTAKES = [
    (
        "edge.yaml",
        "a broker with a port in its host",
        "host: mqtt.example, port: 8883",
        "host: mqtt.example:8883",
        "4:16 'mqtt.example:8883' is not a host alone. Did you mean 'host: mqtt.example' and 'port: 8883'?",
    ),
    (
        "edge.yaml",
        "a broker as URL",
        "host: mqtt.example, port: 8883",
        "host: mqtts://mqtt.example",
        "4:16 'mqtts://mqtt.example' is not a host name or address. Did you mean 'mqtt.example'?",
    ),
    ("edge.yaml", "a port that is none", "port: 8883", "port: 88830", "4:36 88830 is above 65535"),
    (
        "edge.yaml",
        "a keepalive that hides a half-open link",
        "keepalive: 10s",
        "keepalive: 60s",
        "4:113 '60s' is not a keepalive. Write whole seconds from 5s to 20s",
    ),
    (
        "edge.yaml",
        "a keepalive of half seconds",
        "keepalive: 10s",
        "keepalive: 7.5s",
        "4:113 '7.5s' is not a keepalive. Write whole seconds from 5s to 20s",
    ),
    (
        "edge.yaml",
        "a password without user",
        "username: takamatsu/kasuga-01, ",
        "",
        "4:42 a password needs 'username' beside it. Add for example 'username: takamatsu/kasuga-01'",
    ),
    (
        "edge.yaml",
        "a password file that is missing",
        "password_file: secrets/mqtt",
        "password_file: secrets/no",
        (
            "4:88 the file that this names cannot be read (no such file or directory). Write a path relative "
            "to the configuration's folder"
        ),
    ),
    (
        "edge.yaml",
        "a certificate without key",
        "tls: true",
        "tls: {cert_file: secrets/ca.pem}",
        "4:124 'key_file' is missing. A certificate and its key come together",
    ),
    (
        "edge.yaml",
        "a certificate that is missing",
        "tls: true",
        "tls: {ca_file: ca.pem}",
        (
            "4:133 ca.pem cannot be read (no such file or directory). Write a path relative to the "
            "configuration's folder"
        ),
    ),
    ("edge.yaml", "tls as a word", "tls: true", "tls: on", "4:123 'on' is neither true nor false nor a mapping"),
    (
        "edge.yaml",
        "too much in flight",
        "{pack: 50, window: 4}",
        "{pack: 500, window: 40}",
        "7:1 pack times window is 20000 samples in flight, above 5000. Lower one of them",
    ),
    (
        "edge.yaml",
        "an order that is none",
        "{pack: 50, window: 4}",
        "{pack: 50, order: latest}",
        "7:28 'latest' is not known. Did you mean 'oldest'? (one of oldest, newest)",
    ),
    (
        "edge.yaml",
        "a clock that is trusted sometimes",
        "delivery: puback",
        "clock: {trust: never}",
        "6:16 'never' is not known (one of system, always)",
    ),
    (
        "edge.yaml",
        "a rate of nothing",
        "{pack: 50, window: 4}",
        "{pack: 50, rate: 0}",
        "7:27 0 is below 1",
    ),
    (
        "edge.yaml",
        "an unknown delivery",
        "delivery: puback",
        "delivery: pubrec",
        "6:11 'pubrec' is not known. Did you mean 'puback'? (one of receipt, puback)",
    ),
    (
        "edge.yaml",
        "a spool of bare bytes",
        "max_size: 64MB",
        "max_size: 64000000",
        "5:43 64000000 has no unit. Did you mean '64000000B'?",
    ),
    (
        "edge.yaml",
        "an unknown bus type",
        "type: modbus_tcp",
        "type: modbus_tpc",
        "9:16 'modbus_tpc' is not known. Did you mean 'modbus_tcp'?",
    ),
    (
        "edge.yaml",
        "a profile that the bus cannot carry",
        "type: modbus_tcp, host: 192.168.1.20, timeout: 2s",
        "type: serial, port: /dev/ttyUSB0, format: 8X1",
        "9:52 '8X1' is no format of a serial line. Write data bits, parity and stop bits: 8N1, 7E1\n"
        "11:55 acme_us10 is a profile for registers, and a bus of type serial carries binary frames and lines of text\n"
        "11:81 a bus of type serial has one sensor. Leave unit_id out\n"
        "12:51 sim_river_gauge is a profile for registers, and a bus of type serial carries binary frames and lines of "
        "text\n"
        "12:36 bus mast of type serial already has the sensor 'level'. Add a bus for this one",
    ),
    (
        "edge.yaml",
        "an unknown bus",
        "bus: mast, profile: acme_us10",
        "bus: mats, profile: acme_us10",
        "11:40 unknown bus 'mats'. Did you mean 'mast'? (only mast)",
    ),
    (
        "edge.yaml",
        "a profile for JSON on a Modbus bus",
        "profile: acme_us10",
        "profile: json_level",
        "11:55 json_level is a profile for JSON texts, and a bus of type modbus_tcp carries registers",
    ),
    (
        "edge.yaml",
        "a value that the profile has not",
        "{battery_voltage: battery_voltage}",
        "{battery_volt: battery_voltage}",
        (
            "12:95 the profile sim_river_gauge has no value 'battery_volt'. Did you mean 'battery_voltage'? "
            "(one of read_counter, water_level, battery_voltage)"
        ),
    ),
    ("edge.yaml", "a unit id beyond a byte", "unit_id: 3", "unit_id: 300", "11:90 300 is above 255"),
    (
        "edge.yaml",
        "two sources of one channel",
        (
            "station: kasuga-01, bus: mast, profile: sim_river_gauge, interval: 5min, channels: "
            "{battery_voltage: battery_voltage}"
        ),
        "station: kasuga-bridge, bus: mast, profile: sim_river_gauge, interval: 5min",
        (
            "12:10 channel water_level of kasuga-bridge is already fed by water_level of sensor level. Name "
            "another channel"
        ),
    ),
    (
        "edge.yaml",
        "two values into one channel",
        "{battery_voltage: battery_voltage}",
        "{battery_voltage: x, read_counter: x}",
        "12:129 channel x of kasuga-01 is already fed by battery_voltage of sensor power. Name another channel",
    ),
    (
        "edge.yaml",
        "a sensor without channels",
        "channels: {battery_voltage: battery_voltage}",
        "channels: {}",
        "12:94 nothing stands in it. Add at least one entry",
    ),
    (
        "edge.yaml",
        "a raised interval that is longer",
        "raised: {interval: 10s,",
        "raised: {interval: 2min,",
        "11:112 120 s is not shorter than the ordinary interval of 60 s",
    ),
    (
        "edge.yaml",
        "a raised interval without a level",
        "{interval: 10s, above: {water_level: 150 cm}}",
        "{interval: 10s}",
        "11:93 nothing says when. Add for example 'above: {water_level: 1.50 m}'",
    ),
    (
        "edge.yaml",
        "a rate without its time",
        "above: {water_level: 150 cm}",
        "rising: {water_level: 30 cm}",
        "11:139 30 cm is not a rate. Write a quantity and a time, like '1.5 m/10min'",
    ),
    (
        "edge.yaml",
        "a rate of nothing",
        "above: {water_level: 150 cm}",
        "rising: {water_level: 0 cm/h}",
        "11:139 0 cm/h is no change. Write it like '1.5 m/10min'",
    ),
    (
        "edge.yaml",
        "a level of something that is not sent",
        "above: {water_level: 150 cm}",
        "below: {distance: 150 cm}",
        "11:125 'distance' is not a value that is sent (only water_level)",
    ),
    (
        "edge.yaml",
        "a level without unit",
        "{water_level: 150 cm}",
        "{water_level: 1.5}",
        "11:138 1.5 has no unit. Did you mean '1.5 m'?",
    ),
    (
        "edge.yaml",
        "a rate of health in words",
        "health: 10min",
        "health: often",
        "13:9 'often' is neither a duration like '5min' nor 'off'",
    ),
    (
        "edge.yaml",
        "no sensors",
        "sensors:\n",
        "sensors: {}\nsensor:\n",
        "10:10 nothing stands in it. Add at least one entry\n11:1 unknown key 'sensor'. Did you mean 'sensors'?",
    ),
    ("bridge.yaml", "v1 with a bucket", "api: v2", "api: v1", "4:49 api v1 has no bucket. Did you mean 'database'?"),
    (
        "bridge.yaml",
        "v2 without a bucket",
        "bucket: flood, ",
        "",
        "4:1 'bucket' is missing: api v2 writes to one. Add for example 'bucket: flood'",
    ),
    (
        "bridge.yaml",
        "a URL without scheme",
        "http://127.0.0.1:8086",
        "127.0.0.1:8086",
        "4:24 '127.0.0.1:8086' is not a URL. Write it like http://127.0.0.1:8086",
    ),
    (
        "bridge.yaml",
        "a URL with a port that is none",
        "http://127.0.0.1:8086",
        "http://127.0.0.1:80x6",
        "4:24 this is not a URL. Write it like http://127.0.0.1:8086",
    ),
    (
        "bridge.yaml",
        "an Influx password without user",
        "token_file: secrets/influx",
        "password_file: secrets/influx",
        "4:80 a password needs 'username' beside it",
    ),
    ("bridge.yaml", "a batch of none", "timeout: 5s", "batch: 0", "4:115 0 is below 1"),
    (
        "bridge.yaml",
        "a webhook without URL",
        'url: "https://desk.example/hook", ',
        "",
        "8:5 'url' is missing: a webhook is called there. Add for example 'url: https://desk.example/hook'",
    ),
    (
        "bridge.yaml",
        "a console with URL",
        "{medium: console, notices: false}",
        '{medium: console, url: "http://x"}',
        "9:31 the medium console has no url. Leave it out",
    ),
    (
        "bridge.yaml",
        "an unknown medium",
        "medium: console",
        "medium: consol",
        "9:22 unknown medium 'consol'. Did you mean 'console'? "
        "(one of chat, console, lamp, line, mail, sms, voice, webhook)",
    ),
    (
        "bridge.yaml",
        "a window without a port",
        ", port: 9464",
        "",
        "13:1 'port' is missing. Add for example 'port: 9464'",
    ),
    (
        "bridge.yaml",
        "a heartbeat to nowhere",
        "https://watcher.example/ping/42",
        "watcher",
        "14:18 'watcher' is not a URL. Write it like http://127.0.0.1:8086",
    ),
    ("bridge.yaml", "a rank beyond the table", "min_rank: 3", "min_rank: 6", "8:99 6 is above 5"),
    (
        "bridge.yaml",
        "a switch as a word",
        "alert_topic: true",
        "alert_topic: yes",
        "6:16 'yes' is neither true nor false. Did you mean 'true'?",
    ),
    (
        "bridge.yaml",
        "an unknown level table",
        "jp-2026",
        "jp2026",
        "10:14 unknown level table 'jp2026'. Did you mean 'jp-2026'? (one of generic, jp-2026)",
    ),
    (
        "bridge.yaml",
        "room for less than one payload",
        "held: 16MiB",
        "held: 16KiB",
        "12:32 16384 bytes cannot hold one payload of 65536 bytes",
    ),
    (
        "bridge.yaml",
        "a ceiling that holds no store",
        "{path: data/store.db}",
        "{path: data/store.db, max_size: 10MB}",
        "2:40 10000000 bytes hold no store. Write at least 64MB",
    ),
    (
        "bridge.yaml",
        "readings kept for hours",
        "{path: data/store.db}",
        "{path: data/store.db, keep: 12h}",
        ("2:36 page and alerts read the store: readings are kept for at least a day. Write for example '365d'"),
    ),
    (
        "bridge.yaml",
        "an unknown trust",
        "trust: always",
        "trust: never",
        "11:16 'never' is not known (one of system, always)",
    ),
    (
        "bridge.yaml",
        "a section as text",
        "clock: {trust: always, future_tolerance: 2min}",
        "clock: always",
        "11:8 'always' stands where a mapping is expected (keys: trust, future_tolerance)",
    ),
]


def _told(name: str, text: str) -> list[str]:
    document = yamlfile.parse(text.encode(), name)
    if name == "edge.yaml":
        processfile.edge(document, GOOD, PROFILES, PROFILES)
    else:
        processfile.bridge(document, GOOD, config.level_tables())
    return [f"{p.line}:{p.col} {p.message}" for p in document.problems]


@pytest.mark.parametrize(
    ("name", "old", "new", "expected"),
    [(row[0], *row[2:]) for row in MISTAKES],
    ids=[f"{row[0]}: {row[1]}" for row in MISTAKES],
)
def test_mistake(name: str, old: str, new: str, expected: str) -> None:
    """Each mistake is told once, at its place, with what would be right."""
    good = (GOOD / name).read_text()
    assert good.count(old) == 1
    assert _told(name, good.replace(old, new)) == expected.split("\n")


def test_unknown_profile() -> None:
    """A sensor whose profile does not exist is told the nearest; one whose profile has mistakes is not told again."""
    text = (GOOD / "edge.yaml").read_text().replace("profile: acme_us10", "profile: acme_us11")
    (told,) = _told("edge.yaml", text)
    assert told.startswith("11:55 unknown profile 'acme_us11'. Did you mean 'acme_us10'?")
    document = yamlfile.parse(text.encode(), "edge.yaml")
    processfile.edge(document, GOOD, PROFILES, [*PROFILES, "acme_us11"])
    assert document.problems == []


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "4:88 the file holds no or several lines. It holds the secret and nothing else"),
        (b"one\ntwo\n", "4:88 the file holds no or several lines. It holds the secret and nothing else"),
        (b"\xff\xfe", "4:88 the file is not text in UTF-8"),
    ],
    ids=["empty", "two lines", "binary"],
)
def test_secret_files(content: bytes, expected: str, tmp_path: Path) -> None:
    """A file that cannot be a secret is told without its content."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "mqtt").write_bytes(content)
    document = yamlfile.parse((GOOD / "edge.yaml").read_bytes(), "edge.yaml")
    processfile.edge(document, tmp_path, PROFILES, PROFILES)
    assert [f"{p.line}:{p.col} {p.message}" for p in document.problems] == [expected]


@pytest.mark.parametrize(("tls", "port"), [("true", 8883), ("false", 1883), ("{}", 8883)])
def test_the_port_follows_tls(tls: str, port: int) -> None:
    """Without a stated port the broker is asked at 8883 with TLS and at 1883 without."""
    text = (GOOD / "edge.yaml").read_text().replace("port: 8883, ", "").replace("tls: true", f"tls: {tls}")
    edge = processfile.edge(yamlfile.parse(text.encode(), "edge.yaml"), GOOD, PROFILES, PROFILES)
    assert edge is not None
    assert edge.broker.port == port
    assert (edge.broker.tls is None) == (tls == "false")


def test_the_store_is_bounded_by_size_and_days() -> None:
    """Ten gigabytes and a year, unless told otherwise."""
    text = (GOOD / "bridge.yaml").read_text()
    for store, expected in (
        ("{path: data/store.db}", (10_000_000_000, 365 * 86_400.0)),
        ("{path: data/store.db, max_size: 2GB, keep: 90d}", (2_000_000_000, 90 * 86_400.0)),
    ):
        document = yamlfile.parse(text.replace("{path: data/store.db}", store).encode(), "bridge.yaml")
        bridge = processfile.bridge(document, GOOD, config.level_tables())
        assert bridge is not None
        assert (bridge.store_max_bytes, bridge.store_keep_s) == expected

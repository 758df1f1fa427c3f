"""What the two processes need to know, as `config.py` hands it over: checked, units resolved, files read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gateway.foreign import Source
from gateway.people import People
from gateway.templates import Language, Template


@dataclass(frozen=True, slots=True)
class Tls:
    """Paths of PEM files; `ca_file` None means the system's store."""

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Broker:
    """How to reach the MQTT broker. MQTT 3.1.1."""

    host: str = "127.0.0.1"
    port: int = 1883
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    keepalive_s: int = 20
    tls: Tls | None = None


@dataclass(frozen=True, slots=True)
class ModbusTcp:
    """A bus of type `modbus_tcp`."""

    host: str
    port: int = 502
    timeout_s: float = 1.0


@dataclass(frozen=True, slots=True)
class ModbusRtu:
    """A bus of type `modbus_rtu`: a serial line that all its sensors share, so its speed stands here."""

    port: str
    baud: int
    format: str
    timeout_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Serial:
    """A bus of type `serial`: one sensor on a line of its own. `baud` and `format` as the profile says where they are
    not stated; `timeout_s` is how long a whole frame may take."""

    port: str
    baud: int | None = None
    format: str | None = None
    timeout_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Http:
    """A bus of type `http`: one device that says JSON. `header` and its value are sent with each request;
    `tls` None means plain HTTP; `timeout_s` is how long a whole reading may take."""

    host: str
    port: int = 80
    tls: Tls | None = None
    header: tuple[str, str] | None = field(default=None, repr=False)  # a secret
    timeout_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Sdi12:
    """A bus of type `sdi12`: an adapter at a serial port, set to `baud` and `format`; `timeout_s` is how long an
    answer may take, `longest_s` a measurement."""

    port: str
    baud: int = 9600
    format: str = "8N1"
    timeout_s: float = 1.0
    longest_s: float = 25.0


@dataclass(frozen=True, slots=True)
class Mqtt:
    """A bus of type `mqtt`: a broker to which sensors publish. `timeout_s` is how long the first reading of a sensor
    waits for it to say something."""

    broker: Broker
    timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Sysfs:
    """A bus of type `sysfs`: devices that drivers of the kernel show as folders under `root`. `timeout_s` is how long
    the files of a sample may take."""

    root: Path = Path("/sys")
    timeout_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Gpio:
    """A bus of type `gpio`: a chip of lines, by its path, name or label."""

    chip: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a GPIO chip, by its number or name, and which `input` of the profile it is. `bias`: pulled up or
    down by the chip, off, or as it is; `debounce_s` None: as the profile says."""

    input: str
    line: str
    bias: Literal["", "up", "down", "off"] = ""
    active_low: bool = False
    debounce_s: float | None = None


@dataclass(frozen=True, slots=True)
class I2c:
    """A bus of type `i2c`: the adapter `port` (/dev/i2c-1); `timeout_s` is how long it tries one transfer."""

    port: str
    timeout_s: float = 1.0


Bus = ModbusTcp | ModbusRtu | Serial | Http | Sdi12 | Mqtt | Sysfs | Gpio | I2c


@dataclass(frozen=True, slots=True)
class Trigger:
    """Raises the interval of a sensor once a value of its profile comes to `at`, from below or (a distance to the
    water) from above; `back` is where it has fallen back. Canonical unit. `rate`: not the value but its change an hour
    comes there, by which it rises, or falls where not `upwards`; both are above zero then."""

    value: str
    at: float
    back: float
    upwards: bool = True
    rate: bool = False


@dataclass(frozen=True, slots=True)
class Raised:
    """How often a sensor is read while any of the triggers holds."""

    interval_s: float
    triggers: tuple[Trigger, ...]


@dataclass(frozen=True, slots=True)
class Sensor:
    """One sensor on a bus: which profile reads it, how often, and which value becomes which channel. `unit_id`,
    `address` and `lines` are where it is on its bus, `burst` of how many readings one sample is the median."""

    name: str
    station: str
    bus: str
    profile: str
    interval_s: float
    unit_id: int = 1
    channels: Mapping[str, str] = field(default_factory=dict)  # value of the profile -> channel of the station
    raised: Raised | None = None
    address: str = ""
    burst: int = 1
    lines: tuple[Line, ...] = ()


@dataclass(frozen=True, slots=True)
class Spool:
    """The device's durable queue. A power cut loses at most `commit_interval_s` of reads."""

    path: Path
    commit_interval_s: float = 1.0
    max_bytes: int = 512_000_000


@dataclass(frozen=True, slots=True)
class Remote:
    """What a device may be told from afar. An interval stays within its limits, for at most `longest_s`; without
    `interval_max_s` it is never longer than the sensor's own, by which the bridge judges its silence."""

    allow: tuple[str, ...] = ("sample", "interval", "diagnostics", "restart", "config")
    interval_min_s: float = 10.0
    interval_max_s: float | None = None
    longest_s: float = 86_400.0


@dataclass(frozen=True, slots=True)
class Edge:
    """edge.yaml. `simulation` permits a simulated clock and nothing else. `health_s`: how often the device says how it
    is itself, None for never. `trust_clock` always: samples are dated by the clock even where the system cannot say
    that it is synchronised."""

    tenant: str
    device: str
    broker: Broker
    spool: Spool
    buses: Mapping[str, Bus]
    sensors: tuple[Sensor, ...]
    delivery: Literal["receipt", "puback"] = "receipt"
    pack_samples: int = 100
    window_packs: int = 50  # at most; the window follows the link
    backlog_order: Literal["oldest", "newest"] = "oldest"
    backlog_rate: float | None = None  # samples a second, at most
    simulation: bool = False
    health_s: float | None = None
    trust_clock: Literal["system", "always"] = "system"
    remote: Remote = Remote()


@dataclass(frozen=True, slots=True)
class Influx:
    """Where points go. `api` v1: InfluxDB 1.x `/write`; v2: `/api/v2/write` of InfluxDB 2, 3 and VictoriaMetrics.
    `strings` false leaves string fields out (VictoriaMetrics turns them into zeros)."""

    api: Literal["v1", "v2"]
    url: str
    bucket: str  # the database for v1
    org: str = ""
    token: str | None = field(default=None, repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    strings: bool = True
    timeout_s: float = 10.0
    batch: int = 5000


@dataclass(frozen=True, slots=True)
class Orion:
    """An NGSIv2 context broker that gets the latest values. `services` names the service (tenant there) of each of our
    tenants, `service` that of the others; with neither the broker's own default. A tenant of ours that has none while
    others do is not pushed."""

    url: str
    service: str = ""
    services: Mapping[str, str] = field(default_factory=dict)
    service_path: str = "/"
    token: str | None = field(default=None, repr=False)
    token_header: str = "X-Auth-Token"  # noqa: S105 - the header's name
    every_s: float = 10.0
    batch: int = 200
    timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Bulletins:
    """A feed of the Meteorological Agency's bulletins. `catch_up` is the longer feed that is read after a gap, empty:
    none. An entry is fetched where its office has one of the `offices` in its name and its title begins with one of the
    `titles` (none: whatever it is). `areas`, by name or code, tell whom it concerns: a tenant, or with '' everybody."""

    feed: str
    catch_up: str
    offices: tuple[str, ...]
    titles: tuple[str, ...]
    areas: Mapping[str, str]
    every_s: float = 60.0
    silent_after_s: float = 6 * 3600.0
    timeout_s: float = 20.0


MediumKind = Literal["console", "webhook", "sms", "voice", "mail", "line", "chat", "lamp"]


@dataclass(frozen=True, slots=True)
class Mail:
    """How mail is handed over. `security`: STARTTLS, TLS from the start, or none (a server on this machine)."""

    host: str
    sender: str
    port: int = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    reply_to: str = ""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Quota:
    """How many notifications a medium may send in a day, or a month, of Japan's calendar."""

    count: int
    period: Literal["day", "month"]


@dataclass(frozen=True, slots=True)
class Recipient:
    """One address in one medium. Only transitions that touch `min_rank` or more, and silences, reach it; conditions of
    the house itself where `notices` is true. `via` is the name of the medium in bridge.yaml, where it has one: what
    several recipients share, and its quota. `levels`: what a lamp is asked for from a rank on, `lost`
    where nothing is reached and not everything is seen."""

    name: str
    medium: MediumKind
    url: str = field(default="", repr=False)  # a webhook's address is often its secret
    token: str | None = field(default=None, repr=False)
    timeout_s: float = 10.0
    min_rank: int = 2
    notices: bool = True
    to: str = ""  # whom the medium is to reach, where it serves many: what stands after `mail:`
    via: str = ""
    secret: str | None = field(default=None, repr=False)
    mail: Mail | None = None
    quota: Quota | None = None
    levels: Mapping[int, str] = field(default_factory=dict)
    lost: str = ""


@dataclass(frozen=True, slots=True)
class Cap:
    """CAP documents and their feed. `sender` names us among all senders; `url` is where the folder is served; `areas`
    are outlines, (latitude, longitude) each, by the `area` of stations; elsewhere a circle of `radius_km` stands."""

    folder: Path
    sender: str
    sender_ja: str = "水位監視"
    sender_en: str = "Flood watch"
    scope: Literal["Restricted", "Public"] = "Restricted"
    restriction: str = "庁内および防災関係機関に限る / for authorities only"
    contact: str = ""
    url: str = ""
    radius_km: float = 1.0
    areas: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Paper:
    """The city on one sheet, in a folder: how often it is made, how long copies are kept."""

    folder: Path
    every_s: float = 600.0
    keep_s: float = 3 * 86_400.0
    language: Literal["ja", "en"] = "ja"
    sender: str = "水位監視"


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Who is told, at most every so often, that the bridge committed messages."""

    url: str = field(repr=False)  # often a secret
    every_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Enrolment:
    """The broker's files that `suimon device` writes; host, port and TLS as devices reach the broker (`ca_file` None:
    the system's store); how the broker is told: by its `pid_file` here, else by a person with `reload`."""

    passwords: Path
    acl: Path
    host: str
    port: int = 8883
    tls: bool = True
    ca_file: Path | None = None
    pid_file: Path | None = None
    reload: str = ""


@dataclass(frozen=True, slots=True)
class Bridge:
    """bridge.yaml. `trust_clock` always: the future is judged even where the system cannot say that its clock is
    synchronised. The store stays below `store_max_bytes`; readings are kept for `store_keep_s`, where there is room."""

    store: Path
    broker: Broker
    client_id: str = "suimon-bridge"
    influx: Influx | None = None
    orion: Orion | None = None
    bulletins: Bulletins | None = None
    recipients: tuple[Recipient, ...] = ()
    alert_topic: bool = True
    media: Mapping[str, Recipient] = field(default_factory=dict)  # by the word before an address's colon
    people: People | None = None  # without: every recipient from its min_rank on
    templates: Mapping[tuple[str, Language], Template] = field(default_factory=dict)  # by medium, its kind or `default`
    level_table: str = "jp-2026"
    trust_clock: Literal["system", "always"] = "system"
    future_tolerance_s: float = 300.0
    max_payload: int = 262_144
    max_held_bytes: int = 33_554_432
    letter_bytes_per_device: int = 10_000_000
    store_max_bytes: int = 10_000_000_000
    store_keep_s: float = 365 * 86_400.0
    watch: tuple[str, int] | None = None  # where /healthz, /readyz and /metrics are served
    heartbeat: Heartbeat | None = None
    cap: Cap | None = None
    paper: Paper | None = None
    enrolment: Enrolment | None = None
    sources: tuple[Source, ...] = ()  # of messages of devices that are not ours
    simulation: bool = False

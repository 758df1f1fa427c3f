"""The YAML files as pydantic models; `validation` tells the mistakes against them.

The models hold form: which keys, which kind of value. What the values mean to each other is checked where they are
compiled (`stationfile`, `profilefile`, `processfile`). Parts that are `Any` here are validated one by one there, so
that a mistake in one station hides nothing of the next.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from gateway import fields as f


class Row(BaseModel):
    """One mapping of a file: no unknown keys, nothing converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def need(example: str, says: str | None = None) -> Any:
    """A required key; the example is shown where it is missing, what it says by editors."""
    return Field(examples=[example], description=says)


def may(says: str, default: Any = None) -> Any:
    """A key that may be left out, and what it says, for editors."""
    return Field(default, description=says)


Version = Annotated[Literal[1], need("1")]
Port = Annotated[int, Field(ge=1, le=65535)]
Word = Annotated[int, Field(ge=0, le=65535)]
Reference = Literal["gauge_height", "elevation"]


# --- stations.yaml


class Stations(Row):
    version: Version
    tenant: f.Name | None = None
    stations: Annotated[dict[f.Name, Any], Field(min_length=1)] = need("")


class LocalName(Row):
    ja: f.Text = need("春日橋")
    en: f.Text = need("Kasuga Bridge")


class Position(Row):
    latitude: Annotated[float, Field(ge=-90, le=90)] = need("34.3301")
    longitude: Annotated[float, Field(ge=-180, le=180)] = need("134.0703")


class Station(Row):
    tenant: f.Name | None = None
    name: Annotated[LocalName, BeforeValidator(f.localised)] = need("春日橋")
    position: Position = need("{latitude: 34.3301, longitude: 134.0703}")
    datum: f.Text | None = None
    gauge_zero: f.Length | None = None
    device: f.Name = need("kasuga-01")
    order: int | None = None
    hazard: Literal["river", "tide", "underpass", "inundation", "rain"] = "river"
    river: f.Text | None = None
    area: f.Text | None = None
    carrier: f.Text | None = None
    power: f.Text | None = None
    neighbours: list[f.Name] = []
    related: dict[f.Name, Any] = {}
    verified_until: f.Day | None = None
    steps: dict[f.Name, Any] = {}
    channels: Annotated[dict[f.ChannelName, Any], Field(min_length=1)] = need("")


class Contract(Row):
    kind: Literal["ordinary", "crisis", "beacon"] = "ordinary"
    raised_above: f.Amount | None = None
    interval_raised: f.Duration | None = None
    heartbeat: f.Duration | None = None
    router: f.Name | None = None
    wet: f.Text | None = None


class Channel(Row):
    quantity: f.Text | None = None
    unit: f.Text | None = None
    interval: f.Duration = need("60s")
    grace: f.Wait | None = None
    contract: Any = None
    readings: Literal["gauge_height", "elevation", "distance"] | None = None
    sensor_height: f.Length | None = None
    reference: Reference | None = None
    correction: f.Amount | None = None
    span: f.Span | None = None
    plausible: f.Span | None = None
    plausible_rise: f.Amount | None = None
    plausible_fall: f.Amount | None = None
    sensor: Any = None
    quality: Any = None
    rain: Any = None
    tide: Any = None
    contact: Any = None
    internal: bool | None = None
    calibrations: Any = None
    replaced: Any = None
    thresholds: dict[f.Text, Any] = {}


class Threshold(Row):
    value: f.Amount = need("2.00 m")
    authority: Literal["国", "県", "市独自"] = need("県")
    basis: Literal["基準水位観測所", "危機管理型", "市の目安"] = need("基準水位観測所")
    source: f.Text = need("水防計画 2026-05")
    valid_from: f.Day | None = None
    valid_to: f.Day | None = None
    reference: Reference | None = None


# --- edge.yaml and bridge.yaml


class Tls(Row):
    ca_file: f.Text | None = None
    cert_file: f.Text | None = None
    key_file: f.Text | None = None


class Broker(Row):
    host: f.Host = need("mqtt.example")
    port: Port | None = None
    username: f.Text | None = None
    password_file: f.Text | None = None
    keepalive: f.Keepalive = 20
    tls: Annotated[Tls | None, BeforeValidator(f.switch)] = None


class Spool(Row):
    path: f.Text = "spool.db"
    commit_interval: f.Duration = 1.0
    max_size: f.Size = 512_000_000


class Backlog(Row):
    pack: Annotated[int, Field(ge=1, le=5000)] = 100
    window: Annotated[int, Field(ge=1, le=5000)] | None = None
    order: Literal["oldest", "newest"] = "oldest"
    rate: Annotated[int, Field(ge=1, le=100_000)] | None = None


class EdgeClock(Row):
    trust: Literal["system", "always"] = "system"


class RemoteInterval(Row):
    min: f.Duration = 10.0
    max: f.Duration | None = None
    longest: f.Duration = 86_400.0


class Remote(Row):
    allow: list[Literal["sample", "interval", "diagnostics", "restart", "config"]] = [
        "sample", "interval", "diagnostics", "restart", "config",
    ]  # fmt: skip
    interval: RemoteInterval = RemoteInterval()


class Edge(Row):
    version: Version
    tenant: f.Name = need("takamatsu")
    device: f.Name = need("kasuga-01")
    broker: Any = need("{host: mqtt.example}")
    spool: Spool = Spool()
    delivery: Literal["receipt", "puback"] = "receipt"
    backlog: Backlog = Backlog()
    buses: Annotated[dict[f.Name, Any], Field(min_length=1)] = need("")
    sensors: Annotated[dict[f.Name, Any], Field(min_length=1)] = need("")
    health: f.Every = 300.0
    clock: EdgeClock = EdgeClock()
    remote: Remote = Remote()
    simulation: bool = False


class Raised(Row):
    interval: f.Duration = need("10s")
    above: dict[f.Text, f.Amount] = {}
    below: dict[f.Text, f.Amount] = {}
    rising: dict[f.Text, f.Amount] = {}
    falling: dict[f.Text, f.Amount] = {}


class Sensor(Row):
    station: f.Name = need("kasuga-bridge")
    bus: f.Name = need("mast")
    profile: f.Text = need("sim_river_gauge")
    unit_id: Annotated[int, Field(ge=0, le=255)] | None = None
    address: f.Text | None = None
    interval: f.Duration = need("60s")
    burst: Annotated[int, Field(ge=1, le=99)] | None = None
    lines: dict[f.Name, Any] | None = None
    channels: Annotated[dict[f.Name, f.ChannelName], Field(min_length=1)] | None = None
    raised: Raised | None = None
    accept_unverified: bool = False


class Store(Row):
    path: f.Text = "store.db"
    max_size: f.Size = 10_000_000_000
    keep: f.Duration = 365 * 86_400.0


class Influx(Row):
    api: Literal["v1", "v2"] = need("v2")
    url: f.Url = need("http://127.0.0.1:8086")
    bucket: f.Text | None = None
    database: f.Text | None = None
    org: f.Text | None = None
    token_file: f.Text | None = None
    username: f.Text | None = None
    password_file: f.Text | None = None
    strings: bool = True
    timeout: f.Duration = 10.0
    batch: Annotated[int, Field(ge=1, le=100_000)] = 5000


class Medium(Row):
    """How an address of people.yaml is reached: `mail:yamada@city.example` by the medium `mail`. Which keys belong to
    which kind stands in `recipientfile`."""

    medium: Literal["console", "webhook", "sms", "voice", "mail", "line", "chat", "lamp"] = need("webhook")
    url: f.Url | None = None
    url_file: f.Text | None = None
    token_file: f.Text | None = None
    secret_file: f.Text | None = None
    host: f.Host | None = None
    port: Port | None = None
    security: Literal["starttls", "tls", "none"] | None = None
    sender: f.Text | None = None
    reply_to: f.Text | None = None
    username: f.Text | None = None
    password_file: f.Text | None = None
    ca_file: f.Text | None = None
    levels: dict[Annotated[int, Field(ge=0, le=5)], f.Text] | None = None
    lost: f.Text | None = None
    quota: Any = None
    timeout: f.Duration = 10.0


class Recipient(Medium):
    """A medium with an address; `medium` may also name one of `media`."""

    medium: f.Text = need("webhook")  # type: ignore[assignment]
    to: f.Text | None = None
    min_rank: Annotated[int, Field(ge=1, le=5)] = 2
    notices: bool = True


class Notify(Row):
    alert_topic: bool = True
    media: dict[f.Name, Any] = {}
    recipients: dict[f.Name, Any] = {}


class Clock(Row):
    trust: Literal["system", "always"] = "system"
    future_tolerance: f.Wait = 300.0


class BridgeLimits(Row):
    payload: f.Size = 262_144
    held: f.Size = 33_554_432
    letters_per_device: f.Size = 10_000_000


class Watch(Row):
    host: f.Host = "127.0.0.1"
    port: Port = need("9464")


class Paper(Row):
    folder: f.Text = need("paper")
    every: f.Duration = 600.0
    keep: f.Duration = 3 * 86_400.0
    language: Literal["ja", "en"] = "ja"
    sender: f.Text | None = None


class Heartbeat(Row):
    url: f.Url = need("https://watcher.example/ping/…")
    every: f.Duration = 60.0


class Bridge(Row):
    version: Version
    store: Store = Store()
    broker: Any = need("{host: mqtt.example}")
    client_id: f.Name = "suimon-bridge"
    influx: Any = None
    orion: Any = None
    bulletins: Any = None
    notify: Notify = Notify()
    level_table: f.Text = "jp-2026"
    clock: Clock = Clock()
    limits: BridgeLimits = BridgeLimits()
    watch: Watch | None = None
    heartbeat: Heartbeat | None = None
    cap: Any = None
    paper: Any = None
    enrolment: Any = None
    sources: Any = None
    simulation: bool = False


# --- people.yaml


class RoleOfPeople(Row):
    name: Annotated[LocalName, BeforeValidator(f.localised)] = need("当直")
    wait: f.Duration | None = None
    deputies: list[f.Name] = []


class PlanOfPeople(Row):
    rank: Annotated[int, Field(ge=1, le=5)] = need("3")
    hazard: Literal["river", "tide", "underpass", "inundation", "rain"] | None = None
    station: f.Name | None = None
    tenant: f.Name | None = None
    call: Annotated[list[f.Name], Field(min_length=1)] = need("[duty]")
    inform: list[f.Name] = []
    wait: f.Duration | None = None
    rounds: Annotated[int, Field(ge=1, le=10)] = 3


class People(Row):
    version: Version
    members: f.Text = need("members.csv")
    office: f.Text = "08:30-17:15"
    closed: list[f.Text] = []
    roles: Annotated[dict[f.Name, Any], Field(min_length=1)] = need("")
    plans: Annotated[list[Any], Field(min_length=1)] = need("")

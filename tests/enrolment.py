"""A gateway's configuration folder with a broker's files beside it, for the tests of enrolment."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner, Result

from gateway.cli.main import app

STATIONS = """version: 1
tenant: takamatsu
stations:
  kasuga-bridge:
    name: {ja: 春日橋, en: Kasuga Bridge}
    position: {latitude: 34.33, longitude: 134.07}
    datum: T.P.
    gauge_zero: 0 m
    device: kasuga-01
    channels:
      water_level: {interval: 60s, readings: distance, sensor_height: 5 m}
      battery_voltage: {interval: 60s}
  harbour:
    name: {ja: 港, en: Harbour}
    position: {latitude: 34.35, longitude: 134.05}
    datum: T.P.
    gauge_zero: 0 m
    device: harbour-01
    channels:
      water_level: {interval: 60s}
"""
BRIDGE = """version: 1
broker: {host: 127.0.0.1}
enrolment:
  passwords: broker/passwd
  acl: broker/acl
  broker: {host: mqtt.example, port: 8883, tls: {ca_file: broker/ca.crt}}
"""
PASSWD = "# the house's own\nbridge:$7$101$aaaa$bbbb\n"
ACL = "user bridge\ntopic read suimon/v1/#\n"
CA = "-----BEGIN CERTIFICATE-----\nfictional\n-----END CERTIFICATE-----\n"
EDGE = """# written by an operator
spool: {path: SPOOL}
buses:
  mast: {type: modbus_tcp, host: 192.0.2.10}
sensors:
  level:
    station: harbour
    bus: mast
    profile: sim_river_gauge
    interval: 60s
    channels: {water_level: water_level}
"""


def gateway(folder: Path, bridge: str = BRIDGE, acl: str = ACL) -> Path:
    """The folder, with stations, bridge.yaml and the broker's files in `broker/`."""
    (folder / "broker").mkdir(parents=True)
    for name, text in (
        ("stations.yaml", STATIONS),
        ("bridge.yaml", bridge),
        ("broker/passwd", PASSWD),
        ("broker/acl", acl),
        ("broker/ca.crt", CA),
    ):
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def suimon(*arguments: object, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(app, [str(x) for x in arguments], env=env, catch_exceptions=False)

"""web.yaml: every mistake with its place and remedy, and what stands where nothing is stated."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway import config
from gateway.websettings import Link

STATIONS = """version: 1
tenant: kagawa
stations:
  kasuga-bridge:
    name: {ja: 春日橋, en: Kasuga Bridge}
    position: {latitude: 34.3, longitude: 134.0}
    device: gw-1
    datum: T.P.
    gauge_zero: 0 m
    channels:
      water_level: {interval: 60s}
"""
BRIDGE = "version: 1\nbroker: {host: 127.0.0.1}\n"


def folder(tmp_path: Path, web: str | None) -> Path:
    (tmp_path / "stations.yaml").write_text(STATIONS)
    (tmp_path / "bridge.yaml").write_text(BRIDGE)
    if web is not None:
        (tmp_path / "web.yaml").write_text("version: 1\n" + web)
    return tmp_path


def test_without_the_file(tmp_path: Path) -> None:
    """This machine alone, nothing public."""
    web, _, _ = config.load_web(folder(tmp_path, None))
    assert (web.host, web.public, web.loopback_operator, web.accounts) == (
        "127.0.0.1",
        False,
        False,
        tmp_path / "web.db",
    )


def test_everything(tmp_path: Path) -> None:
    """What is stated stands."""
    (tmp_path / "secret").write_text("s3cret\n")
    (tmp_path / "rivers.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    text = """listen: {host: 0.0.0.0, port: 9000}
path: /flood/
proxies: [10.0.0.0/28]
public: true
map: {tiles: false, outlines: rivers.geojson}
catalogue: {publisher: 高松市, licence: "https://creativecommons.org/licenses/by/4.0/"}
oidc:
  {issuer: "https://login.example", client_id: suimon, secret_file: secret, roles: {desk: operator},
   tenants: {desk: "*"}}
links: {kasuga-bridge: [{ja: カメラ, en: camera, url: "https://camera.example/1"}]}
"""
    web, _, _ = config.load_web(folder(tmp_path, text))
    assert (web.host, web.port, web.path, web.map.tiles) == ("0.0.0.0", 9000, "/flood", None)
    assert web.oidc is not None
    assert (web.oidc.secret, "s3cret" in repr(web)) == ("s3cret", False)
    assert web.links["kagawa", "kasuga-bridge"] == (Link("カメラ", "camera", "https://camera.example/1"),)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path: flood", "'flood' is no sub-path. Write it like /flood"),
        ("proxies: [proxy]", "'proxy' is no address"),
        ("map: {tiles: 'https://tiles.example/'}", "names no tiles. Write a URL with {z}, {x} and {y}, or false"),
        ("map: {outlines: none.geojson}", "none.geojson cannot be read (no such file or directory)"),
        ("map: {outlines: bridge.yaml}", "bridge.yaml is not JSON"),
        ("links: {kasuga-brigde: []}", "'kasuga-brigde' is not in stations.yaml. Did you mean 'kasuga-bridge'?"),
        ("links: {kasuga-bridge: x}", "pages of others stand in a list"),
        ("oidc: {issuer: 'http://login.example', client_id: x, roles: {a: viewer}}", "asked by https only"),
        ("oidc: {issuer: 'https://login.example', client_id: x, roles: {a: boss}}", "'boss' is not known"),
        (
            "oidc: {issuer: 'https://login.example', client_id: x, roles: {a: viewer}, tenants: {a: Bad}}",
            "'Bad' is no tenant. Write the name of one, or '*' for all of them",
        ),
        ("loopback_operator: true", "unknown key 'loopback_operator'"),
        ("listen: {port: 0}", "0 is below 1"),
    ],
)
def test_mistakes(tmp_path: Path, text: str, said: str) -> None:
    """A sentence with a remedy."""
    (problem,) = config.check(folder(tmp_path, text))
    assert problem.file == "web.yaml"
    assert said in problem.message

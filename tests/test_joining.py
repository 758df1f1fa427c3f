"""`suimon edge join`: what a bundle makes of a device's folder, and what it does not touch."""

from __future__ import annotations

import contextlib
import grp
import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import bundle, config
from gateway.bundle import Bundle, Password
from gateway.edge import joining
from gateway.errors import ConfigError, Unavailable
from gateway.wholefile import Files
from tests import enrolment, readme
from tests.enrolment import suimon
from tests.test_enrolling import Interrupted, Killed

NOW = 1_795_000_000_000
SECRET = "s" * 43


def made(device: str = "harbour-01", secret: str = SECRET, complete: bool = True, **changes: Any) -> Bundle:
    joined = bundle.Joining("takamatsu", device, "127.0.0.1", 8883, tls=True, ca=True)
    edge = bundle.given(enrolment.EDGE.replace("SPOOL", "spool.db"), "edge.yaml", joined)
    taken = Bundle(
        id="0" * 32,
        tenant="takamatsu",
        device=device,
        made_ms=NOW,
        expires_ms=NOW + 1000,
        credentials=Password(f"takamatsu/{device}", secret),
        complete=complete,
        edge=edge if complete else bundle.begun(joined, []),
        ca=enrolment.CA,
    )
    return msgspec.structs.replace(taken, **changes)


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def join(
    taken: Bundle, folder: Path, replace: bool = False, files: Files | None = None, now: int = NOW
) -> joining.Joined:
    return joining.join(taken, folder, now, replace, files or Files(), group="no such group")


# --- a new device


def test_a_new_device_has_all_it_needs(tmp_path: Path) -> None:
    """edge.yaml, the password that only its user can read, the broker's certificate; the folder has no problem, and the
    same bundle again changes nothing."""
    taken = made()
    done = join(taken, tmp_path)
    assert done.written == ("mqtt-ca.crt", "mqtt.password", "edge.yaml")
    edge, _ = config.load_edge(tmp_path)
    assert (edge.tenant, edge.device, edge.broker.password) == ("takamatsu", "harbour-01", SECRET)
    assert edge.broker.tls
    assert edge.broker.tls.ca_file == tmp_path / "mqtt-ca.crt"
    assert (tmp_path / "mqtt.password").stat().st_mode & 0o777 == 0o600
    before = everything(tmp_path)
    assert join(taken, tmp_path).written == ()
    assert everything(tmp_path) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root joins for another user")
def test_the_agents_group_reads_the_password(tmp_path: Path) -> None:
    """Joined by root the password is the agent's group's to read, and nobody else's; again sets it right."""
    group = grp.getgrgid(1)
    for _ in range(2):
        assert not joining.join(made(), tmp_path, NOW, replace=False, group=group.gr_name).private
        found = (tmp_path / "mqtt.password").stat()
        assert (found.st_mode & 0o777, found.st_gid) == (0o640, group.gr_gid)
        (tmp_path / "mqtt.password").chmod(0o644)
    assert join(made(), tmp_path).private


def test_a_bundle_without_an_edge_yaml_tells_what_is_missing(tmp_path: Path) -> None:
    """From `device add` to `edge join` by the commands: without --edge the device gets its identity, is told which
    sections it lacks, and the comments name its station and channels."""
    folder, file, card = enrolment.gateway(tmp_path / "gateway"), tmp_path / "b.bundle", tmp_path / "card"
    added = suimon("device", "add", "takamatsu/kasuga-01", "--bundle", file, "--config", folder)
    assert added.exit_code == 0, added.output
    assert "STILL TO DO: sudo systemctl reload mosquitto" in added.output
    secret = bundle.decode(file.read_bytes(), "b").credentials.password
    joined = suimon("edge", "join", file, "--config", card)
    assert joined.exit_code == 3
    assert "'buses' is missing" in joined.output
    assert "this is what is missing" in joined.output
    assert not file.exists()
    assert secret not in added.output + joined.output
    text = (card / "edge.yaml").read_text(encoding="utf-8")
    assert "#    station: kasuga-bridge" in text
    assert "VALUE: water_level  # a distance" in text


def test_the_bundle_of_a_given_edge_yaml_runs_as_it_is(tmp_path: Path) -> None:
    """With --edge the device's folder has no problem after the join, with the profile of the gateway's own that it
    names, and the operator's comments are in it."""
    folder, file, card, edge = enrolment.gateway(tmp_path / "g"), tmp_path / "b", tmp_path / "card", tmp_path / "e.yaml"
    (folder / "device_profiles").mkdir()
    bundled = (readme.ROOT / "device_profiles/sim_river_gauge.yaml").read_text(encoding="utf-8")
    (folder / "device_profiles/own_gauge.yaml").write_text(
        bundled.replace("sim_river_gauge", "own_gauge"), encoding="utf-8"
    )
    edge.write_text(enrolment.EDGE.replace("SPOOL", "s.db").replace("sim_river_gauge", "own_gauge"))
    done = suimon("device", "add", "takamatsu/harbour-01", "--edge", edge, "--bundle", file, "--config", folder)
    assert done.exit_code == 0, done.output
    joined = suimon("edge", "join", file, "--config", card, "--offline", "--keep")
    assert joined.exit_code == 0, joined.output
    assert file.exists()
    assert (card / "edge.yaml").read_text().startswith("# written by an operator\n")
    assert config.load_edge(card)[0].sensors[0].profile == "own_gauge"


# --- an identity is here already


@pytest.mark.parametrize(
    ("there", "told"),
    [
        (made("harbour-02", "t" * 43), "with takamatsu/harbour-02. To put takamatsu/harbour-01 in its place"),
        (made(secret="t" * 43), "with other credentials of takamatsu/harbour-01"),
    ],
    ids=["another device", "other credentials"],
)
def test_an_identity_is_not_overwritten_without_being_told(tmp_path: Path, there: Bundle, told: str) -> None:
    """A folder that has another identity is refused and stays as it is; with --replace the new one stands there and the
    former edge.yaml beside it, the former password nowhere."""
    join(there, tmp_path)
    before = everything(tmp_path)
    with pytest.raises(Unavailable, match=told):
        join(made(), tmp_path)
    assert everything(tmp_path) == before
    (tmp_path / "edge.yaml").write_bytes(before["edge.yaml"] + b"# changed here\n")
    done = join(made(), tmp_path, replace=True)
    assert done.kept == ("edge.yaml.1.bak",)
    assert (tmp_path / "edge.yaml.1.bak").read_bytes().endswith(b"# changed here\n")
    assert config.load_edge(tmp_path)[0].broker.password == SECRET
    assert there.credentials.password.encode() not in b"".join(everything(tmp_path).values())


def test_a_password_without_an_edge_yaml_is_an_identity_too(tmp_path: Path) -> None:
    """A password file of somebody else is not overwritten without being told."""
    (tmp_path / "mqtt.password").write_text("by hand\n")
    with pytest.raises(Unavailable, match=r"with another password. To overwrite it: --replace"):
        join(made(), tmp_path)
    assert everything(tmp_path) == {"mqtt.password": b"by hand\n"}


def test_new_credentials_leave_a_finished_edge_yaml_alone(tmp_path: Path) -> None:
    """A bundle that only begins an edge.yaml does not overwrite the same device's own, only its password."""
    join(made(secret="t" * 43), tmp_path)
    own = (tmp_path / "edge.yaml").read_bytes()
    done = join(made(complete=False), tmp_path, replace=True)
    assert (done.written, done.ours) == (("mqtt.password",), True)
    assert (tmp_path / "edge.yaml").read_bytes() == own
    assert config.load_edge(tmp_path)[0].broker.password == SECRET


def test_an_edge_yaml_that_stays_must_name_the_password(tmp_path: Path) -> None:
    """Where the device's own edge.yaml reads its password elsewhere, that is told at its line; nothing is written."""
    join(made(secret="t" * 43), tmp_path)
    text = (tmp_path / "edge.yaml").read_text()
    (tmp_path / "edge.yaml").write_text(text.replace("password_file: mqtt.password", "password_file: other"))
    before = everything(tmp_path)
    with pytest.raises(ConfigError, match=r"broker.password_file: 'other' is not what .* Write 'mqtt.password'"):
        join(made(complete=False), tmp_path, replace=True)
    assert everything(tmp_path) == before
    absolute = text.replace("password_file: mqtt.password", f"password_file: {tmp_path}/mqtt.password")
    (tmp_path / "edge.yaml").write_text(absolute)
    assert join(made(complete=False), tmp_path, replace=True).ours


def test_samples_of_another_device_are_not_sent_under_the_new_name(tmp_path: Path) -> None:
    """Where the former device's spool is still there, even --replace is refused until it is moved away."""
    join(made("harbour-02"), tmp_path)
    (tmp_path / "spool.db").write_bytes(b"samples")
    before = everything(tmp_path)
    with pytest.raises(Unavailable, match=r"spool.db holds samples of takamatsu/harbour-02"):
        join(made(), tmp_path, replace=True)
    assert everything(tmp_path) == before
    (tmp_path / "spool.db").rename(tmp_path / "elsewhere")
    assert join(made(), tmp_path, replace=True).written


@pytest.mark.parametrize("at", range(6))
@pytest.mark.parametrize("replaces", [False, True])
def test_an_interrupted_join_is_finished_by_the_same_command(tmp_path: Path, at: int, replaces: bool) -> None:
    """Cut at any write, edge.yaml is the former, none, or whole with its password beside it; again ends it."""
    if replaces:
        join(made(secret="t" * 43), tmp_path)
    with contextlib.suppress(Killed):
        join(made(), tmp_path, replaces, Interrupted(at))
    if (tmp_path / "edge.yaml").exists():
        config.load_edge(tmp_path)
    join(made(), tmp_path, replaces)
    assert config.load_edge(tmp_path)[0].broker.password == SECRET


# --- bundles that are none


def test_a_bundle_that_ran_out_is_refused(tmp_path: Path) -> None:
    """After its time a bundle is refused with the remedy, and nothing is written."""
    with pytest.raises(Unavailable, match=r"ran out.*suimon device replace takamatsu/harbour-01"):
        join(made(), tmp_path, now=NOW + 1001)
    assert everything(tmp_path) == {}
    assert join(made(expires_ms=None), tmp_path, now=1 << 50).written


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"version": 2}, "is a bundle of version 2, and this suimon reads 1. Install the gateway's suimon"),
        ({"tenant": "../x"}, "tenant: '../x' is not a name"),
        ({"device": 3}, r"is no bundle .* at \$.device. Copy it once more"),
        ({"profiles": {"../../etc/passwd": "x"}}, "profiles: '../../etc/passwd' is not a name"),
        ({"profiles": {"a/b": "x"}}, "profiles: 'a/b' is not a name"),
        ({"id": "x"}, "id: is not the number of a bundle"),
        ({"credentials": {"kind": "password", "username": "takamatsu/other", "password": SECRET}}, "another than"),
        ({"credentials": {"kind": "password", "username": "takamatsu/harbour-01", "password": "a\nb"}}, "is none that"),
        ({"credentials": {"kind": "riddle"}}, "is no bundle"),
        ({"edge": None}, r"is no bundle .* at \$.edge"),
    ],
)
def test_a_bundle_that_was_changed_is_told(changes: dict[str, object], told: str) -> None:
    """Each mistake has its place; what stands in a bundle is not shown, a name excepted."""
    data = json.loads(bundle.encode(made())) | changes
    with pytest.raises(ConfigError, match=told) as caught:
        bundle.decode(json.dumps(data).encode(), "x.bundle")
    assert SECRET not in str(caught.value)


def test_an_edge_yaml_of_another_device_is_refused(tmp_path: Path) -> None:
    """A bundle whose edge.yaml names another device than the bundle is told at its line; nothing is written."""
    taken = made()
    with pytest.raises(ConfigError, match=r"the bundle's edge.yaml:.* device: 'harbour-01' is not what"):
        join(
            msgspec.structs.replace(taken, edge=taken.edge, device="x", credentials=Password("takamatsu/x", SECRET)),
            tmp_path,
        )
    assert everything(tmp_path) == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
KEYS = sorted(json.loads(bundle.encode(made())))


@given(st.binary(max_size=200))
def test_no_bytes_crash_the_reader(data: bytes) -> None:
    """Whatever a file holds, it is a bundle or a problem of the configuration."""
    with contextlib.suppress(ConfigError):
        bundle.decode(data, "x")


@given(st.dictionaries(st.sampled_from(KEYS), JSON, min_size=1, max_size=3), st.integers(0, 3000))
def test_no_change_of_a_bundle_crashes_the_reader(changes: dict[str, object], cut: int) -> None:
    """A bundle of which parts were exchanged, and one cut short, is read or told."""
    whole = bundle.encode(made())
    for data in (json.dumps(json.loads(whole) | changes).encode(), whole[:cut]):
        with contextlib.suppress(ConfigError):
            bundle.decode(data, "x")


@given(edge=st.text(max_size=80) | st.sampled_from(["broker: 3", "[", "tenant: [1]", "spool: 1", "a: &b [*b]", "{}"]))
def test_no_edge_yaml_in_a_bundle_crashes_the_join(tmp_path_factory: pytest.TempPathFactory, edge: str) -> None:
    """Whatever stands as edge.yaml in a bundle, it is joined or told."""
    folder = tmp_path_factory.mktemp("card")
    with contextlib.suppress(ConfigError, Unavailable):
        taken = bundle.decode(bundle.encode(made(edge=edge)), "x")
        join(taken, folder)
        join(taken, folder, replace=True)

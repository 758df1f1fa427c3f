"""The bridge's signs of life: what is served to those who look, and told to those who watch."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from gateway import settings
from gateway.bridge.heartbeat import Heartbeat
from gateway.bridge.metrics import METRICS
from gateway.bridge.receiver import Arrival
from gateway.bridge.service import Service
from gateway.bridge.watch import VISITORS, Health, Watch
from gateway.bridge.work import Memory
from gateway.clock import SystemClock
from gateway.errors import GoneReason, NoticeCode, RejectCode, Unavailable
from gateway.model import Change, Condition, Flag
from gateway.mqtt import Delivery
from tests import world
from tests.servers import wait_for
from tests.world import Reply, Request, http_server

README = Path(__file__).parent.parent / "gateway" / "README.md"


class Acks:
    """Takes acknowledgements and does nothing."""

    def ack(self, _: Delivery) -> None:
        pass


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """Never started: its turns are called by the test."""
    found = Service(world.bridge(tmp_path / "store.db"), world.registry(), SystemClock())
    try:
        yield found
    finally:
        found._store.close()


def take(service: Service, *messages: tuple[str, bytes]) -> None:
    """One batch of the bridge."""
    assert service._settle(
        [
            Arrival(world.message(payload, kind), Delivery("", payload, False, mid, 1, 1), Acks())  # type: ignore[arg-type]
            for mid, (kind, payload) in enumerate(messages, 1)
        ]
    )


def numbers(text: bytes) -> dict[tuple[str, tuple[str, ...]], float]:
    """Every number that Prometheus would read, by name and label values."""
    return {
        (s.name, tuple(s.labels.values())): s.value
        for family in text_string_to_metric_families(text.decode())
        for s in family.samples
    }


# --- metrics


def test_the_table_of_the_document_is_the_code() -> None:
    """Same metrics, same order, same type, labels and sentence."""
    section = re.search(r"^### Metrics$(.*?)(?=^#|\Z)", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert section
    lines = [line for line in section[1].splitlines() if line.startswith("| `")]
    rows = [tuple(cell.strip().replace("`", "") for cell in line.strip("|").split("|")) for line in lines]
    assert rows == [(f"suimon_{m.name}", m.kind, ", ".join(m.labels), m.sentence) for m in METRICS]


def test_what_is_served_is_what_the_table_says(service: Service) -> None:
    """No metric is missing, none is unlisted, and every label is of a closed list, told from the first look on."""
    take(service, ("data", world.pack(world.sample(1, 1.0))), ("data", b"garbage"))
    found = numbers(service.vitals.metrics())
    ours = {name for name, _ in found if name.startswith("suimon_")}
    assert ours == {f"suimon_{m.name}" for m in METRICS}
    lists = {
        "observations_total": [f.name.lower() for f in Flag],
        "dead_letters_total": list(RejectCode),
        "transitions_total": list(Change),
        "samples_gone": list(GoneReason),
        "notices": list(NoticeCode),
        "channels": list(Condition),
        "stations": list("012345"),
    }
    for metric, codes in lists.items():
        assert {labels[0] for name, labels in found if name == f"suimon_{metric}"} == {str(c) for c in codes}
    assert found["suimon_dead_letters_total", ("not_json",)] == 1
    assert found["suimon_observations_total", ("good",)] == 1
    assert found["suimon_influx_rows_waiting", ()] == 0
    assert found["process_resident_memory_bytes", ()] > 1e6


def test_the_samples_add_up_at_every_look(service: Service) -> None:
    """received = accepted + rejected + duplicate, whoever looks while batches of everything are committed."""
    stop, looks = threading.Event(), list[dict[tuple[str, tuple[str, ...]], float]]()

    def look() -> None:
        while not stop.is_set():
            looks.append(numbers(service.vitals.metrics()))

    thread = threading.Thread(target=look)
    thread.start()
    for n in range(1, 61):
        good = world.pack(world.sample(n, 1.0))
        foreign = world.pack(world.sample(1000 + n, 1.0, station="nowhere"))
        take(service, ("data", good), ("backlog", good), ("data", foreign), ("data", b"[garbage"), ("spool", b"{"))
    stop.set()
    thread.join()
    looks.append(numbers(service.vitals.metrics()))
    for found in looks:
        received, *others = (
            found[f"suimon_samples_{name}_total", ()] for name in ("received", "accepted", "rejected", "duplicate")
        )
        assert received == sum(others)
    assert [looks[-1][f"suimon_samples_{name}_total", ()] for name in ("accepted", "duplicate")] == [60, 60]


ODD = st.sampled_from([None, True, -1, 0, 2**63, 1.5, "x", "", [], {}, "\ud800"])
RECORD = st.fixed_dictionaries(
    {},
    optional={
        "bn": st.sampled_from(["kasuga-bridge/", "nowhere/", "kasuga-01/"]) | ODD,
        "bt": st.sampled_from([world.T0 / 1000, 0, 1e12]) | ODD,
        "n": st.sampled_from(["water_level", "battery_voltage", "water_level.fault", "tide"]) | ODD,
        "u": st.sampled_from(["m", "V", "kg"]) | ODD,
        "v": st.sampled_from([1.0, -3, 1e400]) | ODD,
        "vs": st.sampled_from(["no_echo", "nonsense"]) | ODD,
        "log": st.sampled_from(["abc", "def"]) | ODD,
        "seq": st.sampled_from([1, 2, 3]) | ODD,
        "clk": st.sampled_from(["synced", "unsynced", "sundial"]) | ODD,
    },
)


@given(st.lists(st.lists(RECORD | ODD, max_size=6), min_size=1, max_size=4))
def test_whatever_arrives_is_counted_once(packs: list[list[object]]) -> None:
    """received = accepted + rejected + duplicate for packs that no device would make, in one batch or several."""
    memory = Memory("store")
    bridge = world.bridge(Path("none"))
    for pack in packs:
        work = world.work(memory, bridge)
        work.take(world.message(json.dumps(pack).encode()))
        work.take(world.message(json.dumps(pack).encode(), "backlog"))
        counted = work.counts
        assert counted["received"] == counted["accepted"] + counted["rejected"] + counted["duplicate"]
        work.swap_in()


def test_without_prometheus_library_the_page_says_what_is_missing() -> None:
    """The bridge does its work all the same."""
    code = (
        "import sys; sys.modules['prometheus_client'] = None\n"
        "from gateway.bridge import metrics, watch\n"
        "from gateway.bridge.work import Memory\n"
        "print(watch._metrics(lambda: metrics.text(metrics.Totals(), None, Memory('x')))[::2])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("(501, b\"/metrics needs the package prometheus_client: pip install 'suimon[bridge]'")


# --- the window


@contextlib.contextmanager
def watching(health: Health, metrics: bytes = b"") -> Iterator[str]:
    watch = Watch(("127.0.0.1", 0), lambda: health, lambda: health, lambda: metrics)
    watch.start()
    try:
        yield f"http://127.0.0.1:{watch.port}"
    finally:
        watch.stop()


def get(url: str, method: str = "GET") -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as e:
        with e:
            return e.code, e.read()


def test_well_and_not_well() -> None:
    """200 and 503, with what was looked at and what is wrong."""
    with watching(Health({"writer": None, "receipts": None})) as url:
        assert get(f"{url}/healthz")[0] == 200
    with watching(Health({"writer": "61 s overdue", "receipts": None})) as url:
        status, body = get(f"{url}/readyz")
    assert status == 503
    assert json.loads(body) == {"version": 1, "ok": False, "checks": {"writer": "61 s overdue", "receipts": "ok"}}


def test_other_pages_and_other_methods() -> None:
    """What is not there is named, HEAD has no body, nothing can be changed."""
    with watching(Health({})) as url:
        assert get(f"{url}/")[0] == 404
        assert b"/healthz" in get(f"{url}/x")[1]
        assert get(f"{url}/healthz?a=b", "HEAD") == (200, b"")
        assert get(f"{url}/healthz", "POST")[0] == 501


def test_visitors_who_say_nothing_keep_out_nobody_for_long() -> None:
    """More idle connections than places: the surplus is closed, and when the idle ones leave there is room again."""
    with watching(Health({})) as url:
        port = int(url.rpartition(":")[2])
        idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(VISITORS + 2)]
        try:
            for surplus in idle[VISITORS:]:
                surplus.settimeout(10)
                assert surplus.recv(1) == b""
        finally:
            for connection in idle:
                connection.close()

        def answered() -> bool:
            with contextlib.suppress(OSError):
                return get(f"{url}/healthz")[0] == 200
            return False

        wait_for("a place", answered)


def test_a_taken_port_is_told_with_the_key() -> None:
    """The bridge does not start half watched."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = other.getsockname()
        with pytest.raises(Unavailable, match=r"cannot listen on 127\.0\.0\.1:\d+ .*bridge\.yaml, watch\.port"):
            Watch(address, lambda: Health({}), lambda: Health({}), lambda: b"")


# --- alive and ready


def test_a_loop_that_does_not_come_round_makes_the_bridge_unwell(service: Service) -> None:
    """Alive while every loop says so in time; by name when one does not."""
    service.vitals.round()
    assert service.vitals.alive() == Health({"writer": None})
    service.vitals.pulse.beat("notify desk", -61.0)
    assert service.vitals.alive().checks["notify desk"] == "61 s overdue"
    assert not service.vitals.alive().well


def test_ready_is_more_than_alive(service: Service) -> None:
    """Without a broker the bridge lives and cannot do its work; when the disk refuses, the same."""
    checks = service.vitals.ready().checks
    assert checks["live"] == checks["backlog"] == "not subscribed at the broker"
    assert checks["store"] is None
    service._store._db.execute("PRAGMA query_only = ON")
    message = world.message(world.pack(world.sample(1, 1.0)))
    arrival = Arrival(message, Delivery("", message.payload, False, 1, 1, 1), Acks())  # type: ignore[arg-type]
    assert not service._settle([arrival])
    assert service.vitals.ready().checks["store"] == "the disk refuses"
    service._store._db.execute("PRAGMA query_only = OFF")
    assert service._settle([arrival])
    assert service.vitals.ready().checks["store"] is None
    assert numbers(service.vitals.metrics())["suimon_commit_failures_total", ()] == 1


# --- heartbeat


@pytest.mark.parametrize(("every_s", "signs"), [(3600.0, 1), (0.01, 2)])
def test_a_heartbeat_leaves_only_after_a_commit(every_s: float, signs: int) -> None:
    """No timer sends it: none before the first commit, one for many commits within the interval, then the next."""
    with http_server(lambda _: Reply(200)) as server:
        heart = Heartbeat(f"{server.url}/ping", every_s)
        heart.start()
        try:
            threading.Event().wait(0.2)
            assert server.requests == []
            for _ in range(50):
                heart.committed()
            wait_for("one", lambda: server.requests)
            threading.Event().wait(0.2)
            before = len(server.requests)
            heart.committed()
            wait_for("the next", lambda: len(server.requests) == before + signs - 1)
            threading.Event().wait(0.2)
            assert len(server.requests) == before + signs - 1
        finally:
            heart.stop()


def test_a_watcher_that_does_not_hear_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """The first failure and the recovery with the count; the address is in no message."""
    answers = iter([500, 500, 500])

    def answer(_: Request) -> Reply:
        return Reply(next(answers, 200))

    caplog.set_level(logging.INFO)
    with http_server(answer) as server:
        heart = Heartbeat(f"{server.url}/ping/s3cret", 0.01)
        heart.start()
        try:
            for n in range(4):
                heart.committed()
                wait_for(f"sign {n + 1}", lambda n=n: len(server.requests) == n + 1)  # type: ignore[misc]
            wait_for("the recovery", lambda: "after 3 failures" in caplog.text)
        finally:
            heart.stop()
    assert [r.message for r in caplog.records if "not heard (answered 500)" in r.message] != []
    assert len([r for r in caplog.records if r.levelno == logging.WARNING]) == 1
    assert "s3cret" not in caplog.text


def test_an_empty_commit_is_no_sign(service: Service, tmp_path: Path) -> None:
    """What the bridge writes for itself proves nothing about the way of a reading."""
    with http_server(lambda _: Reply(200)) as server:
        bridge = world.bridge(tmp_path / "other.db", heartbeat=settings.Heartbeat(server.url, 0.01))
        found = Service(bridge, world.registry(), SystemClock())
        try:
            assert found.vitals._heartbeat is not None
            found.vitals._heartbeat.start()
            found._commit([])
            found._commit([])
            threading.Event().wait(0.3)
            assert server.requests == []
            take(found, ("data", world.pack(world.sample(1, 1.0))))
            wait_for("the sign", lambda: server.requests)
        finally:
            found.vitals.stop()
            found._store.close()

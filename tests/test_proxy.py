"""The link that may be broken: what each fault does to real sockets on both of its sides."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from simulators.faults.proxy import Proxy, Way, obey

SHORT_S = 0.3  # long enough for loopback to have delivered what it will


class Peer:
    """A listener that keeps every connection it took."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = self._listener.getsockname()[:2]
        self._listener.settimeout(5.0)

    def take(self) -> socket.socket:
        sock, _ = self._listener.accept()
        sock.settimeout(5.0)
        return sock

    def nobody_comes(self) -> bool:
        self._listener.settimeout(SHORT_S)
        try:
            self._listener.accept()[0].close()
        except TimeoutError:
            return True
        finally:
            self._listener.settimeout(5.0)
        return False

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.close()


@pytest.fixture
def link(peer: Peer) -> Iterator[Proxy]:
    with Proxy(peer.address) as proxy:
        yield proxy


@contextlib.contextmanager
def connected(link: Proxy, peer: Peer) -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_connection(("127.0.0.1", link.port), 5.0) as near, peer.take() as far:
        yield near, far


def silent(sock: socket.socket) -> bool:
    """Neither a byte nor an end of the stream arrives."""
    sock.settimeout(SHORT_S)
    try:
        sock.recv(1)
    except TimeoutError:
        return True
    finally:
        sock.settimeout(5.0)
    return False


def test_bytes_pass_both_ways_in_order_and_the_end_of_the_stream_passes_too(link: Proxy, peer: Peer) -> None:
    """An unbroken link is a wire: also a megabyte, and also half a close."""
    data = bytes(range(256)) * 4096
    with connected(link, peer) as (near, far):

        def send() -> None:
            near.sendall(data)
            near.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        with far.makefile("rb") as stream:
            assert stream.read() == data
        sender.join()
        far.sendall(b"answer")
        assert near.recv(100) == b"answer"


def test_a_delay_holds_each_byte(link: Proxy, peer: Peer) -> None:
    """A byte comes no earlier than the delay of its way says; the other way may have another."""
    link.slow(Way(delay_s=0.2), Way())
    with connected(link, peer) as (near, far):
        began = time.monotonic()
        near.sendall(b"a")
        assert far.recv(1) == b"a"
        assert time.monotonic() - began >= 0.2
        far.sendall(b"b")
        assert near.recv(1) == b"b"


def test_a_rate_is_felt_by_the_sender(link: Proxy, peer: Peer) -> None:
    """Buffers are bounded: a sender of a megabyte over a slow link is stopped, and what arrives is what the rate
    allows."""
    link.slow(Way(rate=50_000, buffer_bytes=10_000))
    with connected(link, peer) as (near, far):
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        near.settimeout(SHORT_S)
        with pytest.raises(TimeoutError):
            near.sendall(bytes(2_000_000))
        arrived = len(far.recv(1_000_000))
        assert 0 < arrived < 200_000


@pytest.mark.parametrize(("end", "seen"), [(Proxy.cut, b""), (Proxy.reset, ConnectionResetError)])
def test_both_sides_see_an_end(
    link: Proxy, peer: Peer, end: Callable[[Proxy], int], seen: bytes | type[Exception]
) -> None:
    """A cut is a FIN to both, a reset a RST to both; a new connection works at once."""
    with connected(link, peer) as (near, far):
        assert end(link) == 1
        for sock in (near, far):
            if isinstance(seen, bytes):
                assert sock.recv(1) == seen
            else:
                with pytest.raises(seen):
                    sock.recv(1)
    with connected(link, peer) as (near, far):
        near.sendall(b"x")
        assert far.recv(1) == b"x"


def test_a_black_hole_accepts_and_passes_nothing_until_it_is_opened(link: Proxy, peer: Peer) -> None:
    """Old and new connections stand; nothing is lost, it comes when the link is open again."""
    with connected(link, peer) as (near, far):
        link.set("black_hole")
        near.sendall(b"held")
        far.sendall(b"also held")
        assert silent(far)
        assert silent(near)
        with socket.create_connection(("127.0.0.1", link.port), 5.0) as second:
            second.sendall(b"new")
            assert peer.nobody_comes()
            link.set("open")
            assert far.recv(100) == b"held"
            assert near.recv(100) == b"also held"
            with peer.take() as other:
                assert other.recv(100) == b"new"


def test_a_black_hole_fills_the_senders_buffers(link: Proxy, peer: Peer) -> None:
    """Bytes are not taken, so a sender stops within bounded buffers."""
    with connected(link, peer) as (near, _):
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        link.set("black_hole")
        near.settimeout(SHORT_S)
        with pytest.raises(TimeoutError):
            near.sendall(bytes(4_000_000))


def test_a_half_open_connection_is_dead_for_ever_and_nobody_is_told(link: Proxy, peer: Peer) -> None:
    """Neither side sees anything, not even that the other one closed; a new connection works; restoring the link does
    not bring the old one back."""
    with connected(link, peer) as (near, far):
        assert link.half_open() == 1
        near.sendall(b"into the void")
        far.sendall(b"into the void")
        assert silent(far)
        assert silent(near)
        link.restore()
        near.sendall(b"still")
        assert silent(far)
        near.shutdown(socket.SHUT_WR)
        assert silent(far)
        with connected(link, peer) as (new, end):
            new.sendall(b"works")
            assert end.recv(100) == b"works"
            assert link.half_open() == 1  # the new one; the dead one is not forgotten twice
    assert link.accepted == 2


def test_a_dead_connection_is_forgotten_when_both_sides_have_gone(link: Proxy, peer: Peer) -> None:
    """No socket is kept for ever."""
    with connected(link, peer):
        link.half_open()
    end = time.monotonic() + 5
    while link.pairs and time.monotonic() < end:
        time.sleep(0.01)
    assert not link.pairs


def test_a_refusing_link_has_no_listener_and_gets_its_port_back(link: Proxy, peer: Peer) -> None:
    """Connections are cut, new ones refused; restored, the port is the same."""
    with connected(link, peer) as (near, _):
        link.set("refuse")
        assert near.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", link.port), 5.0)
        link.restore()
        with connected(link, peer) as (new, far):
            new.sendall(b"x")
            assert far.recv(1) == b"x"


def test_a_refusing_link_keeps_its_port_from_others(link: Proxy) -> None:
    """Whoever asks for it meanwhile is told that it is taken, also with an address that may be used again."""
    link.set("refuse")
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", link.port))
    link.restore()


def test_a_target_that_refuses_ends_the_connection(link: Proxy, peer: Peer) -> None:
    """As a router would: the client sees an end, and the link goes on."""
    peer.close()
    with socket.create_connection(("127.0.0.1", link.port), 5.0) as near:
        near.settimeout(5.0)
        assert near.recv(1) == b""


def test_commands_by_hand(link: Proxy, peer: Peer) -> None:
    """Every fault has its word; another word is told the list."""
    with connected(link, peer):
        assert obey(link, "delay 0.05\n") == "delay 0.05 s, rate any"
        assert obey(link, "rate 5000\n") == "delay 0.05 s, rate 5000 bytes/s"
        assert obey(link, "black_hole") == "the link is black_hole"
        assert obey(link, "restore") == "the link is open"
        assert (link.up, link.down) == (Way(), Way())
        assert obey(link, "half_open") == "half_open: 1 connection"
        assert obey(link, "cut") == "cut: 1 connection"
    with pytest.raises(ValueError, match="no such fault: 'explode'"):
        obey(link, "explode")


def test_a_link_that_cannot_be_is_refused() -> None:
    """A negative delay or a rate of nothing is a mistake of the caller."""
    with pytest.raises(ValueError, match="no link is like this"):
        Way(delay_s=-1)
    with pytest.raises(ValueError, match="no link is like this"):
        Way(rate=0)

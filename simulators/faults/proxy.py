"""A loopback TCP proxy whose link may be slowed, stalled and broken in every way in which real links break, while it
runs. It stands between two programs that know nothing of it.

What a fault does to *bytes* is the point of each:

- `delay`, `rate`: they come later, or slower; never out of order. Buffers are bounded, so that a sender feels it.
- `cut`: both sides see the end of the stream (FIN); what was under way is gone.
- `reset`: the same with RST, so that unread bytes are dropped by the receiver's kernel too.
- `half_open`: no side sees anything. Bytes of the present connections are taken and dropped in silence, for ever:
  a router that forgot them. New connections work.
- `black_hole`: connections are accepted, and nothing passes in either direction until the link is `open` again; then
  it all does. Bytes are not even taken, so that a sender's buffers fill.
- `refuse`: nobody listens, and every connection is cut.

In a program: `with Proxy(("127.0.0.1", 1883)) as link: ... link.cut()`, from any thread. By hand:
`python -m simulators.faults.proxy --listen 1884 --to 127.0.0.1:1883`, and a line for each fault.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import socket
import struct
import sys
import threading
from collections import deque
from collections.abc import Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeVar

HOST = "127.0.0.1"
CHUNK_BYTES = 16_384
KERNEL_BYTES = 65_536  # of each socket's own buffers; the kernel's default would hide a slow link for megabytes
MODES = ("open", "black_hole", "refuse")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Way:
    """One direction of the link. `rate` in bytes a second, None: as fast as it goes; `buffer_bytes` at most are on
    the way at once."""

    delay_s: float = 0.0
    rate: float | None = None
    buffer_bytes: int = 262_144

    def __post_init__(self) -> None:
        if self.delay_s < 0 or (self.rate is not None and self.rate <= 0) or self.buffer_bytes < 1:
            raise ValueError(f"no link is like this: {self}")


class _Lane:
    """The bytes of one direction of one connection: a queue of (due, bytes) between one reader and one writer."""

    def __init__(self, pair: _Pair, source: socket.socket, sink: socket.socket, upwards: bool) -> None:
        self._pair, self._source, self._sink, self._upwards = pair, source, sink, upwards
        self._queue: deque[tuple[float, bytes]] = deque()
        self._held = 0
        self._changed = asyncio.Event()
        self._ended = False

    @property
    def _way(self) -> Way:
        return self._pair.proxy.up if self._upwards else self._pair.proxy.down

    async def read(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._pair.proxy.passable.wait()
            while self._held >= self._way.buffer_bytes:
                await self._wait()
            data = await loop.sock_recv(self._source, min(CHUNK_BYTES, self._way.buffer_bytes))
            if not data:
                self._ended = True
                self._changed.set()
                return
            if self._pair.dead:  # taken, and dropped in silence
                continue
            self._queue.append((loop.time() + self._way.delay_s, data))
            self._held += len(data)
            self._changed.set()

    async def write(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while not self._queue:
                if self._ended:
                    if not self._pair.dead:
                        self._sink.shutdown(socket.SHUT_WR)
                    return
                await self._wait()
            due, data = self._queue[0]
            await asyncio.sleep(max(0.0, due - loop.time()))
            await self._pair.proxy.passable.wait()
            await self._send(loop, data)
            self._queue.popleft()
            self._held -= len(data)
            self._changed.set()

    async def _send(self, loop: asyncio.AbstractEventLoop, data: bytes) -> None:
        """In slices of a twentieth of a second of a limited link, so that a change of rate is felt at once."""
        while data and not self._pair.dead:
            rate = self._way.rate
            part = data if rate is None else data[: max(1, int(rate / 20))]
            await loop.sock_sendall(self._sink, part)
            data = data[len(part) :]
            self._pair.proxy.forwarded += len(part)
            if rate is not None:
                await asyncio.sleep(len(part) / rate)

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()


class _Pair:
    """One connection: the client's socket, ours to the target, and the lanes between."""

    def __init__(self, proxy: Proxy, client: socket.socket) -> None:
        self.proxy, self.client = proxy, client
        self.target: socket.socket | None = None
        self.dead = False
        self.task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        lanes: list[asyncio.Task[None]] = []
        try:
            await self.proxy.passable.wait()  # a hole lets nobody reach the target either
            self.target = _bounded(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            self.target.setblocking(False)
            await loop.sock_connect(self.target, self.proxy.target)
            up, down = _Lane(self, self.client, self.target, True), _Lane(self, self.target, self.client, False)
            lanes = [asyncio.ensure_future(work) for work in (up.read(), up.write(), down.read(), down.write())]
            await asyncio.gather(*lanes)
        except OSError:
            pass  # one side went away: so does the other, as below
        finally:
            for lane in lanes:
                lane.cancel()
            await asyncio.gather(*lanes, return_exceptions=True)
            self._close()

    def end(self, abort: bool) -> None:
        """Close both sides; `abort`: with RST."""
        if abort:
            for sock in (self.client, self.target):
                if sock is not None:
                    with contextlib.suppress(OSError):
                        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.task.cancel()

    def _close(self) -> None:
        for sock in (self.client, self.target):
            if sock is not None:
                sock.close()
        self.proxy.pairs.discard(self)


def _bounded(sock: socket.socket) -> socket.socket:
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        sock.setsockopt(socket.SOL_SOCKET, option, KERNEL_BYTES)
    return sock


class Proxy:
    """A link to `target`, listening on loopback at `port` (0: any free one, kept through `refuse`) while the `with`
    block runs. Its commands may be called from any thread, and have taken effect when they return."""

    def __init__(self, target: tuple[str, int], port: int = 0) -> None:
        self.target, self.port = target, port
        self.up, self.down = Way(), Way()  # towards the target, and back
        self.mode = "open"
        self.accepted = 0  # connections so far
        self.forwarded = 0  # bytes, both ways
        self.pairs: set[_Pair] = set()
        self._accepting: asyncio.Task[None] | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"link to {target[1]}", daemon=True)

    def __enter__(self) -> Proxy:
        self._thread.start()
        self._call(self._begin())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._call(self._finish())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # --- faults ------------------------------------------------------------------------------------------------

    def slow(self, up: Way, down: Way | None = None) -> None:
        """Delay and rate from now on; `down` is like `up` where it is not given. What is on its way keeps its delay."""

        async def change() -> None:
            self.up, self.down = up, down or up

        self._call(change())

    def set(self, mode: str) -> None:
        """`open`, `black_hole` or `refuse`."""
        if mode not in MODES:
            raise ValueError(f"no such mode of a link: {mode} (there are {', '.join(MODES)})")
        self._call(self._set(mode))

    def cut(self) -> int:
        """End every connection in order; how many."""
        return self._call(self._end(abort=False))

    def reset(self) -> int:
        """End every connection with RST; how many."""
        return self._call(self._end(abort=True))

    def half_open(self) -> int:
        """Forget every connection without a word; how many."""

        async def forget() -> int:
            alive = [pair for pair in self.pairs if not pair.dead]
            for pair in alive:
                pair.dead = True
            return len(alive)

        return self._call(forget())

    def restore(self) -> None:
        """An open link without delay. Connections that were forgotten stay so."""
        self.slow(Way())
        self.set("open")

    # --- the thread of the link ----------------------------------------------------------------------------------

    async def _begin(self) -> None:
        self.passable = asyncio.Event()
        self.passable.set()
        self._place = self._bound(again=False)  # never listens: keeps the port from others while nobody does
        self._listen()

    def _bound(self, again: bool = True) -> socket.socket:
        bound = _bounded(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, again)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # with our own other one alone
            bound.setblocking(False)
            bound.bind((HOST, self.port))
        except BaseException:
            bound.close()
            raise
        self.port = bound.getsockname()[1]
        return bound

    def _listen(self) -> None:
        listener = self._bound()
        listener.listen(128)
        self._accepting = asyncio.ensure_future(self._accept(listener))

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                client, _ = await loop.sock_accept(listener)
                client.setblocking(False)
                self.accepted += 1
                self.pairs.add(_Pair(self, client))
        finally:
            listener.close()

    async def _set(self, mode: str) -> None:
        self.mode = mode
        (self.passable.clear if mode == "black_hole" else self.passable.set)()
        if mode == "refuse":
            await self._deafen()
            await self._end(abort=False)
        elif self._accepting is None:
            self._listen()

    async def _deafen(self) -> None:
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.gather(self._accepting, return_exceptions=True)
            self._accepting = None

    async def _end(self, abort: bool) -> int:
        ending = list(self.pairs)
        for pair in ending:
            pair.end(abort)
        await asyncio.gather(*(pair.task for pair in ending), return_exceptions=True)
        return len(ending)

    async def _finish(self) -> None:
        await self._deafen()
        await self._end(abort=False)
        self._place.close()

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        done: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return done.result(10.0)


# --- by hand ---------------------------------------------------------------------------------------------------------

COMMANDS = """\
delay SECONDS      both ways           cut        end every connection
rate BYTES         a second, 0: any    reset      the same with RST
black_hole         nothing passes      half_open  forget every connection
refuse             nobody listens      restore    an open link without delay"""


def obey(link: Proxy, line: str) -> str:
    """One command; the answer for people. Raises ValueError for what is none."""
    word, _, argument = line.strip().partition(" ")
    if word in ("delay", "rate"):
        number = float(argument)
        up = Way(number, link.up.rate) if word == "delay" else Way(link.up.delay_s, number or None)
        link.slow(up)
        return f"delay {up.delay_s:g} s, rate {'any' if up.rate is None else f'{up.rate:g} bytes/s'}"
    if word in ("cut", "reset", "half_open"):
        count = {"cut": link.cut, "reset": link.reset, "half_open": link.half_open}[word]()
        return f"{word}: {count} connection{'s' * (count != 1)}"
    if word == "restore":
        link.restore()
    elif word in ("black_hole", "refuse"):
        link.set(word)
    else:
        raise ValueError(f"no such fault: '{word}'\n{COMMANDS}")
    return f"the link is {link.mode}"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="simulators.faults.proxy", description="A TCP link that may be broken.")
    parser.add_argument("--listen", type=int, default=0, help="port on loopback; 0: any free one")
    parser.add_argument("--to", required=True, help="HOST:PORT")
    options = parser.parse_args(arguments)
    host, _, port = options.to.rpartition(":")
    with Proxy((host, int(port)), options.listen) as link:
        print(f"{HOST}:{link.port} to {options.to}\n{COMMANDS}", flush=True)
        for line in sys.stdin:
            try:
                print(obey(link, line), flush=True)
            except ValueError as e:
                print(e, flush=True)


if __name__ == "__main__":
    main()

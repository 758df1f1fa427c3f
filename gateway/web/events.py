"""What changes, as it happens: server-sent events. One watcher looks at the store for all who listen; what it says is
made once. Who comes back, or could not follow, is given the whole board again, so nothing must be remembered."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from gateway.errors import Unavailable
from gateway.web.asking import Reading, site_here, who_asks
from gateway.web.boards import Boards, Position
from gateway.web.problems import Problem
from gateway.web.rest import PROBLEMS
from gateway.web.who import Who

log = logging.getLogger(__name__)
LOOK_S = 0.15  # how often the watcher looks
READINGS_S = 3.0  # how often a board goes out for readings alone
AGES_S = 10.0  # how often in any case: ages and silences change by themselves
MOST = 500  # listeners; whoever comes then polls
PIECE = 65_536  # bytes handed over at once: of the board there is one, and of who reads slowly a piece in the buffer
SESSION_S = 60.0  # how often a listener's session is looked at again


class Watcher:
    """Looks while anybody listens. `turn` counts what there was to say."""

    def __init__(self, boards: Boards) -> None:
        self.boards = boards
        self._told = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self.listeners = 0
        self.turn = 0
        self.ended = False

    async def end(self) -> None:
        """Everybody's stream ends, because the page does."""
        async with self._told:
            self.ended = True
            self._told.notify_all()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        self.listeners += 1
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look())
        try:
            yield
        finally:
            self.listeners -= 1
            if self.listeners == 0 and self._task is not None:
                self._task.cancel()
                self._task = None

    async def wait(self, turn: int, seconds: float) -> int:
        """The number of turns, once it is another one than `turn`, the time is over, or all is."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), self._told:
                await self._told.wait_for(lambda: self.turn != turn or self.ended)
        return self.turn

    async def _look(self) -> None:
        known: Position | None = None
        said = time.monotonic()
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                now = await asyncio.to_thread(self.boards.position)
            except Unavailable:
                continue  # the store is being restored; listeners hear nothing, and their page says so
            quiet = time.monotonic() - said
            urgent = known is None or now.urgent != known.urgent
            readings = known is None or now.readings != known.readings
            if urgent or (readings and quiet >= READINGS_S) or quiet >= AGES_S:
                known, said = now, time.monotonic()
                self.boards.renew()
                async with self._told:
                    self.turn += 1
                    self._told.notify_all()


routes = APIRouter(prefix="/api/v1", responses=PROBLEMS)


@routes.get("/events", tags=["stations"], response_class=StreamingResponse)
async def events(request: Request, who: Reading) -> StreamingResponse:
    """`board` events, each the whole of `/board`; a comment every ten seconds. Whoever reconnects gets the present
    board at once."""
    watcher: Watcher = request.app.state.watcher
    if watcher.listeners >= MOST:
        raise Problem(503, "too_many", "too many listen; ask for /api/v1/board from time to time", _LATER)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_stream(watcher, request, who), 200, headers, "text/event-stream")


_LATER = {"Retry-After": "30"}


async def _stream(watcher: Watcher, request: Request, who: Who) -> AsyncIterator[bytes]:
    checked = time.monotonic()
    async with watcher.listening():
        yield b"retry: 3000\n\n"
        turn = watcher.turn
        while not watcher.ended:
            if time.monotonic() - checked > SESSION_S:
                if not await asyncio.to_thread(_still, request, who):
                    return
                checked = time.monotonic()
            try:
                position, body = await asyncio.to_thread(watcher.boards.encoded, who)
            except Unavailable:
                yield b": the store cannot be read\n\n"
            else:
                yield b"event: board\nid: " + position.encode() + b"\ndata: "
                for at in range(0, len(body), PIECE):
                    yield body[at : at + PIECE]
                yield b"\n\n"
            turn = await watcher.wait(turn, AGES_S)


def _still(request: Request, who: Who) -> bool:
    """Whether who listens may still: a session ends, a token is revoked."""
    try:
        return who_asks(site_here(request), request) == who
    except Problem:
        return False

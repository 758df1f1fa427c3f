"""The page with a house behind it that does what a test says: the board it shows, streams, refuses, or is gone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from gateway import websettings
from gateway.web import page
from tests import pagedeeds, pagenight

Json = dict[str, Any]


class House:
    """What the page is told. A test changes `board` and calls `tell`."""

    def __init__(self, board: Json, path: str = "") -> None:
        self.board, self.config, self.path = board, pagenight.config(), path
        self.acts: list[Json] = []
        self.refused: dict[str, Json] = {}  # among several, by episode: the answer
        self.problem: Json | None = None  # what every act meets
        self.refusal: str | Json = ""  # a sentence alone, as an earlier bridge gave it, or code and facts
        self.closed = False  # whether who asks must log in
        self.streams = True  # False: a proxy that holds the stream back
        self.version = 0
        self.resumed: list[str | None] = []
        self.answers: Json = pagedeeds.answers()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.path}/"

    def tell(self, board: Json | None = None) -> None:
        self.board = board or self.board
        self.version += 1

    def start(self) -> None:
        options = uvicorn.Config(
            self._app(), port=self.port, log_level="error", lifespan="off", timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(options)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    def stop(self) -> None:
        assert self._server is not None
        assert self._thread is not None
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(10)

    def _now(self) -> Json:
        fresh = pagenight.board([], [])
        return self.board | {"now": fresh["now"], "position": str(self.version)}

    def _fate(self, episode: str) -> Json:
        why = self.refused.get(episode)
        done = {"episode": episode, "request": 1, "state": "done", "answer": {}}
        return done | ({"state": "refused", "answer": why} if why else {})

    def _refusing(self) -> Json | None:
        if not self.refusal:
            return self.problem
        problem: Json = {"title": "This was refused", "status": 409, "detail": "as typed", "code": "refused"}
        return problem | ({"detail": self.refusal} if isinstance(self.refusal, str) else {"refusal": self.refusal})

    def _app(self) -> FastAPI:
        inner = FastAPI()
        inner.include_router(page.pages(websettings.Web(Path("web.db"))))

        @inner.get("/api/v1/events")
        async def events(request: Request) -> Response:
            if self.closed:
                return Response(status_code=401)
            self.resumed.append(request.headers.get("last-event-id"))
            return StreamingResponse(self._events(), media_type="text/event-stream")

        @inner.post("/api/v1/{path:path}")
        async def act(path: str, request: Request) -> Response:
            assert request.headers["x-suimon"]  # what no foreign page can send
            said = await request.json()
            self.acts.append(said if path == "acts" else {"path": path, **said})
            if path == "login" and said["password"] != "correct":
                problem = {"title": "Say who you are", "status": 401, "detail": "wrong", "code": "wrong_login"}
                return JSONResponse(problem, 401, media_type="application/problem+json")
            self.closed = self.closed and path != "login"
            if problem := self._refusing():
                return JSONResponse(problem, problem["status"], media_type="application/problem+json")
            if path == "acts/acknowledge":
                fates = [self._fate(x) for x in said["episodes"]]
                return JSONResponse({"acts": fates}, 207 if self.refused else 200)
            return JSONResponse({"request": 1, "state": "done", "answer": {}})

        @inner.get("/api/v1/{path:path}")
        async def read(path: str, request: Request) -> Response:
            if self.closed and path != "config":
                problem = {"title": "Say who you are", "status": 401, "detail": "sign in", "code": "unauthenticated"}
                return JSONResponse(problem, 401, media_type="application/problem+json")
            known = {"config": self.config, "board": self._now(), **self.answers}
            found = known.get(path)
            if callable(found):
                found = found(dict(request.query_params))
            if found is None:
                problem = {"title": "Not found", "status": 404, "detail": f"no {path}", "code": "not_found"}
                return JSONResponse(problem, 404, media_type="application/problem+json")
            return Response(found, media_type="text/csv") if isinstance(found, str) else JSONResponse(found)

        if not self.path:
            return inner
        outer = FastAPI()
        outer.mount(self.path, inner)
        return outer

    async def _events(self) -> AsyncIterator[str]:
        told = -1
        while self._server is not None and not self._server.should_exit:
            if self.streams and told != self.version:
                told = self.version
                yield f"id: {told}\nevent: board\ndata: {json.dumps(self._now())}\n\n"
            await asyncio.sleep(0.05)


@contextlib.contextmanager
def serve(board: Json, path: str = "") -> Iterator[House]:
    house = House(board, path)
    house.start()
    try:
        yield house
    finally:
        house.stop()

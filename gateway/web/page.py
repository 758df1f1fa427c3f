"""The page's own files: read once, sent compressed, revalidated by ETag, under a policy that lets nothing foreign in.

`/` is index.html; everything else stands under `static/`, named relative to the page, so that a sub-path needs nothing.
A path is looked up among the files that were read and opens none."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response

from gateway import websettings

STATIC = Path(__file__).with_name("static")
TYPES = {".js": "text/javascript", ".json": "application/json", ".svg": "image/svg+xml"}
NOT_SENT = {"package.json", "package-lock.json"}


@dataclass(frozen=True, slots=True)
class File:
    """`packed` is the gzip of `data`."""

    data: bytes = field(repr=False)
    packed: bytes = field(repr=False)
    media_type: str
    etag: str


def files(folder: Path = STATIC) -> dict[str, File]:
    """Every file of the page by its path below the folder. Raises OSError."""
    found = sorted(p for p in folder.rglob("*") if p.is_file() and p.name not in NOT_SENT)
    return {p.relative_to(folder).as_posix(): _file(p) for p in found}


def _file(path: Path) -> File:
    data = path.read_bytes()
    kind = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "text/plain"
    kind += "; charset=utf-8" if kind.startswith("text/") else ""
    return File(data, gzip.compress(data, 9, mtime=0), kind, f'"{hashlib.sha256(data).hexdigest()[:20]}"')


def policy(tiles: str | None) -> str:
    """The Content-Security-Policy: ourselves, and pictures of the one host that the tiles come from."""
    parts = urlsplit(tiles or "")
    pictures = f" {parts.scheme}://{parts.netloc.replace('{s}', '*')}" if parts.netloc else ""
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; font-src 'self'; "
        f"img-src 'self' data:{pictures}; manifest-src 'self'; media-src 'self'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    )


def headers(tiles: str | None) -> dict[str, str]:
    """Of every answer that a browser may show as a page."""
    return {
        "Content-Security-Policy": policy(tiles),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }


def answer(file: File, asked: Mapping[str, str], fixed: Mapping[str, str]) -> Response:
    """304 to who has it, compressed to who understands it."""
    sent = {**fixed, "ETag": file.etag, "Vary": "Accept-Encoding"}
    if file.etag in asked.get("if-none-match", ""):
        return Response(status_code=304, headers=sent)
    if "gzip" in asked.get("accept-encoding", ""):
        sent["Content-Encoding"] = "gzip"
        return Response(file.packed, media_type=file.media_type, headers=sent)
    return Response(file.data, media_type=file.media_type, headers=sent)


def pages(web: websettings.Web, folder: Path = STATIC) -> APIRouter:
    """Serves the page. Raises OSError where its files are not there."""
    found, fixed = files(folder), headers(web.map.tiles)
    routes = APIRouter(include_in_schema=False)

    @routes.api_route("/", methods=["GET", "HEAD"])
    def index(request: Request) -> Response:
        return answer(found["index.html"], request.headers, fixed)

    @routes.api_route("/static/{path:path}", methods=["GET", "HEAD"])
    def static(path: str, request: Request) -> Response:
        file = found.get(path)
        if file is None:
            return Response("There is no such file.\n", 404, media_type="text/plain", headers=fixed)
        return answer(file, request.headers, fixed)

    return routes

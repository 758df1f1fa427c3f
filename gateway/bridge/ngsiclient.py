"""What a context broker of NGSIv2 is asked and told over HTTP, and what its answers mean: accepted, to be halved, or
kept."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal
from urllib.parse import quote

from gateway import settings
from gateway.bridge.fetching import bounded, wait_s

ASKED = 50  # entities in one question: the whole address stays below 8 kB
MAX_ANSWER = 16_000_000  # bytes
STRANGE = "its answer is not that of a context broker"
Action = Literal["append", "delete"]


class Fate(Enum):
    ACCEPTED = "accepted"
    HALVE = "halve"  # some entity of it is refused, or it is too large
    KEEP = "keep"  # not now


@dataclass(frozen=True, slots=True)
class Answer:
    """`status` 0, `silent`: none came. `body`: what was asked for."""

    fate: Fate
    reason: str = ""
    wait_s: float | None = None
    silent: bool = False
    body: bytes = b""
    status: int = 0


def classify(status: int, body: bytes, retry_after: str | None, date: str | None = None) -> Answer:
    """What an HTTP answer means, by its headers Retry-After and Date."""
    reason = f"{status} {' '.join(body.decode('utf-8', 'replace').split())[:300]}".strip()
    if 200 <= status < 300:
        return Answer(Fate.ACCEPTED, body=body, status=status)
    if status in REFUSALS:
        return Answer(Fate.HALVE, reason, status=status)
    return Answer(Fate.KEEP, reason, wait_s(retry_after, date), status=status)


REFUSALS = (400, 413, 422)


def service_of(to: settings.Orion, tenant: str) -> str:
    """Empty: the broker's own default."""
    return to.services.get(tenant, to.service)


class Client:
    """Speaks to the broker; never raises for an answer or a missing one."""

    def __init__(self, to: settings.Orion) -> None:
        import urllib3

        self._errors = (urllib3.exceptions.HTTPError, OSError, UnicodeError, ValueError)
        self._http = urllib3.PoolManager(maxsize=1, retries=False, timeout=urllib3.Timeout(total=to.timeout_s))
        self._to, self._url = to, to.url.rstrip("/")

    def update(self, tenant: str, entities: Sequence[Mapping[str, Any]], action: Action = "append") -> Answer:
        """To `delete` takes the attributes that are named, and of an entity without any the whole."""
        body = {"actionType": action, "entities": entities}
        text = json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
        answer = self._request("POST", "/v2/op/update", tenant, text)
        if answer.fate is Fate.ACCEPTED and answer.body.strip():  # it says nothing; a portal shows a page with 200
            return Answer(Fate.KEEP, STRANGE, status=answer.status)
        return answer

    def ask(self, tenant: str, ids: Iterable[str]) -> Answer:
        """Those of the entities that the broker has."""
        found = quote(",".join(ids), safe=",:")
        return self._request("GET", f"/v2/entities?id={found}&limit={ASKED}", tenant)

    def _request(self, method: str, path: str, tenant: str, body: bytes | None = None) -> Answer:
        headers = {"Fiware-ServicePath": self._to.service_path, "Accept": "application/json"}
        if service := service_of(self._to, tenant):
            headers["Fiware-Service"] = service
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self._to.token is not None:
            bearer = self._to.token_header.lower() == "authorization"
            headers[self._to.token_header] = f"Bearer {self._to.token}" if bearer else self._to.token
        try:
            r = self._http.request(
                method, self._url + path, body=body, headers=headers, redirect=False, preload_content=False
            )
            text = bounded(r, MAX_ANSWER, self._to.timeout_s)
        except self._errors as e:
            return Answer(Fate.KEEP, f"no answer ({type(e).__name__})", silent=True)
        if text is None:
            return Answer(Fate.KEEP, "an answer without an end", silent=True)
        return classify(r.status, text, r.headers.get("Retry-After"), r.headers.get("Date"))

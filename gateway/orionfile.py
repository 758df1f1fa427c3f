"""`orion` in bridge.yaml: which context broker gets the latest values, and by which service of it."""

from __future__ import annotations

import re
from pathlib import Path as FilePath
from typing import Annotated

from pydantic import Field

from gateway import fields as f
from gateway import settings
from gateway.schema import Row, need
from gateway.secretfile import secret
from gateway.validation import loosely, validate
from gateway.yamlfile import Document, Path

LEAST_EVERY_S = 1.0
SERVICE = re.compile(r"[a-z0-9_]{1,50}")
SERVICE_PATH = re.compile(r"/|(/[A-Za-z0-9_]{1,50}){1,10}")


class OrionRow(Row):
    url: f.Url = need("http://127.0.0.1:1026")
    service: f.Text | None = None
    services: Annotated[dict[f.Name, f.Text], Field(min_length=1)] | None = None
    service_path: f.Text = "/"
    token_file: f.Text | None = None
    token_header: f.Header = "X-Auth-Token"  # noqa: S105 - the header's name
    every: f.Duration = 10.0
    batch: Annotated[int, Field(ge=1, le=1000)] = 200
    timeout: f.Duration = 10.0


def orion_of(document: Document, folder: FilePath) -> settings.Orion | None:
    """The settings; None where there are none, or after noting what is wrong with them."""
    path: Path = ("orion",)
    if document.mapping(()).get("orion") is None:
        return None
    before = len(document.problems)
    row = validate(OrionRow, document, path)
    judged = row or loosely(OrionRow, document, path)
    if judged is None:
        return None
    _names(document, path, judged)
    if judged.every and judged.every < LEAST_EVERY_S:
        message = "a context broker is for the latest values, not for every one. Write at least 1s"
        document.add((*path, "every"), message)
    token = secret(document, (*path, "token_file"), judged.token_file, folder)
    if row is None or len(document.problems) > before:
        return None
    return settings.Orion(
        url=row.url,
        service=row.service or "",
        services=row.services or {},
        service_path=row.service_path,
        token=token,
        token_header=row.token_header,
        every_s=row.every,
        batch=row.batch,
        timeout_s=row.timeout,
    )


def _names(document: Document, path: Path, row: OrionRow) -> None:
    """Services and path, as a broker takes them."""
    services = {(*path, "services", name): service for name, service in (row.services or {}).items()}
    if row.service is not None:
        services[(*path, "service")] = row.service
    for where, service in services.items():
        if not SERVICE.fullmatch(service):
            hint = re.sub(r"[^a-z0-9_]", "_", service.lower())[:50]
            message = f"'{service}' is not a service: a-z, 0-9 and _, at most 50. Did you mean '{hint}'?"
            document.add(where, message)
    if row.service_path is not None and not SERVICE_PATH.fullmatch(row.service_path):
        message = f"'{row.service_path}' is not a service path: at most ten levels of a-z, A-Z, 0-9 and _. Write it "
        document.add((*path, "service_path"), f"{message}like /flood/stations")

"""`enrolment` in bridge.yaml: the broker's files that `suimon device` writes, and how devices reach the broker.

The files themselves are looked at by that command alone: the bridge needs neither, and may not read them.
"""

from __future__ import annotations

from pathlib import Path as FilePath
from typing import Annotated

from pydantic import BeforeValidator

from gateway import fields as f
from gateway import settings
from gateway.schema import Port, Row, need
from gateway.validation import validate
from gateway.yamlfile import Document, Path

RELOAD = "sudo systemctl reload mosquitto"


class Authority(Row):
    """Certificates of devices come here: what is to be signed, and by whom."""

    ca_file: f.Text | None = None


class DeviceBroker(Row):
    host: f.Host = need("mqtt.example")
    port: Port | None = None
    tls: Annotated[Authority | None, BeforeValidator(f.switch)] = None


class EnrolmentRow(Row):
    passwords: f.Text = need("/etc/mosquitto/passwd")
    acl: f.Text = need("/etc/mosquitto/acl")
    broker: DeviceBroker = need("{host: mqtt.example, port: 8883, tls: true}")
    pid_file: f.Text | None = None
    reload: f.Text = RELOAD


def enrolment_of(document: Document, folder: FilePath) -> settings.Enrolment | None:
    """The settings; None where there are none, or after noting what is wrong with them."""
    path: Path = ("enrolment",)
    if document.mapping(()).get("enrolment") is None:
        return None
    row = validate(EnrolmentRow, document, path)
    if row is None:
        return None
    tls = row.broker.tls
    return settings.Enrolment(
        passwords=folder / row.passwords,
        acl=folder / row.acl,
        host=row.broker.host,
        port=row.broker.port or (8883 if tls else 1883),
        tls=tls is not None,
        ca_file=folder / tls.ca_file if tls and tls.ca_file else None,
        pid_file=folder / row.pid_file if row.pid_file else None,
        reload=row.reload,
    )

"""Which commands from afar a device obeys. Pure."""

from __future__ import annotations

from collections.abc import Collection

from gateway.edge.trial import Done
from gateway.errors import CommandCode
from gateway.wire import Command, CommandReply

COMMANDS = ("sample", "interval", "diagnostics", "restart", "config")
HARMLESS = ("sample", "diagnostics")  # an old one does nothing that matters
LONGEST_MS = 2 * 3_600_000  # that a command may be valid; beyond, a clock is wrong


def refused(command_id: str, code: CommandCode, detail: str = "") -> CommandReply:
    return CommandReply(command_id, "refused", code.value, detail[:500])


def judge(
    command: Command,
    retained: bool,
    now_ms: int,
    clock_set: bool,
    allowed: Collection[str],
    done: Done | None,
) -> CommandReply | None:
    """The answer where it is not to be done (any more); None: do it. What was done already is answered as it was then,
    also when its time is over."""
    if retained:
        return refused(command.id, CommandCode.RETAINED)
    if done is not None:
        return done.reply
    if command.command not in COMMANDS:
        return refused(command.id, CommandCode.UNKNOWN_COMMAND, command.command[:50])
    if command.command not in allowed:
        return refused(command.id, CommandCode.NOT_ALLOWED, f"remote.allow lacks '{command.command}'")
    if not clock_set:
        return None if command.command in HARMLESS else refused(command.id, CommandCode.CLOCK_NOT_SET)
    if not 0 < command.expires_ms - now_ms <= LONGEST_MS:
        return refused(command.id, CommandCode.EXPIRED, f"{(now_ms - command.expires_ms) / 1000:.0f} s ago")
    return None

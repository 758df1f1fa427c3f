"""A command at a terminal of its own, and somebody who types."""

from __future__ import annotations

import os
import pty
import select
import subprocess
from pathlib import Path

END = "\x04"  # what a terminal makes of Ctrl-D: no more is typed


def typed(command: list[str], answers: list[tuple[str, str]], folder: Path, expect: int = 0) -> str:
    """What the terminal showed while each of the prompts was answered, and that the command ended so.

    A prompt has to be the last thing before the terminal shows nothing any more of what is typed.
    """
    fd, theirs = pty.openpty()
    child = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, cwd=folder, env=dict(os.environ)
    )
    os.close(theirs)
    shown = b""
    try:
        for prompt, answer in answers:
            shown += _until(fd, prompt.encode())
            os.write(fd, answer.encode() + b"\n" * (answer != END))
        shown += _until(fd, None)
        assert child.wait(30) == expect, shown
    finally:
        child.kill()
        os.close(fd)
    return shown.decode()


def _until(fd: int, text: bytes | None) -> bytes:
    """What the terminal shows up to a text, or to the end of the process."""
    shown = b""
    while text is None or text not in shown:
        assert select.select([fd], [], [], 60)[0], shown
        try:
            data = os.read(fd, 1000)
        except OSError:  # the terminal is gone with its process
            data = b""
        if not data:
            assert text is None, shown
            break
        shown += data
    return shown

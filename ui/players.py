"""Opening a file at its second with a player this machine has. Argument lists only; a name is never an option."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from ui.text import path_text, timecode


def command(path: Path, at_s: float | None) -> tuple[list[str], bool]:
    """The command that opens a file, and whether it starts at the second.

    Args:
        path: absolute, so that no name can be read as an option or, by ffplay, as a protocol.
        at_s: None for a still.

    Returns:
        An empty list when this machine has nothing that opens files.
    """
    name = str(path.absolute())
    if at_s is not None:
        seekers = {
            "mpv": [f"--start={at_s:.3f}", "--", name],
            "vlc": [f"--start-time={at_s:.3f}", "--", name],
            "ffplay": ["-loglevel", "error", "-ss", f"{at_s:.3f}", "-i", f"file:{name}"],
        }
        for player, arguments in seekers.items():
            if found := shutil.which(player):
                return [found, *arguments], True
    opener = shutil.which("open" if sys.platform == "darwin" else "xdg-open")
    return ([opener, name] if opener else []), at_s is None


def open_at(path: Path, at_s: float | None) -> str:
    """Open the file and go on; the player lives on without us.

    Returns:
        One line for the person: what was done, or what to do.
    """
    shown, second = path_text(path), "" if at_s is None else f" at {timecode(at_s)}"
    arguments, seeks = command(path, at_s)
    if not arguments and sys.platform != "win32":
        return f"No player was found; open {shown}{second} yourself, or install mpv."
    try:
        if not arguments:
            os.startfile(path)  # type: ignore[attr-defined]  # Windows
        else:
            quiet = subprocess.DEVNULL
            subprocess.Popen(arguments, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)
    except OSError as error:
        return f"{shown} could not be opened ({error.strerror or error}); go to{second or ' it'} yourself."
    return f"Opened {shown}{second}." if seeks else f"Opened {shown}; go to {second.removeprefix(' at ')}."

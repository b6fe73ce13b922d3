"""What is at a path that a user names: also where the system refuses to look, for a closed folder or too long a name.

``pathlib`` raises there. Whoever goes on to open the file says what the system says.
"""

from __future__ import annotations

from pathlib import Path


def is_folder(path: Path) -> bool:
    """Whether a folder is there; False, too, where nobody may look and for a name that the system does not take."""
    try:
        return path.is_dir()
    except OSError:
        return False


def is_file(path: Path) -> bool:
    """Whether a file is there; False, too, where nobody may look and for a name that the system does not take."""
    try:
        return path.is_file()
    except OSError:
        return False

"""The options of ``edge-pse run``, as the service has them: a file that survives restarts, and that people edit, too.

The panel changes single options and leaves all others, and every other line of the file, as they are.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from edge_pse import atomic
from edge_pse.errors import ControlError

VARIABLE = "EDGE_PSE_OPTIONS"
AT_FIRST = ("--output", "virtual", "--on-demand")
"""What the service begins with, and the panel where there is no file yet."""
_LINE = re.compile(rf"^{VARIABLE}=(.*)$", re.MULTILINE)
_HEADER = (
    "# Options of the service: see `edge-pse run --help`. After a change: systemctl --user restart edge-pse\n"
)
_FLAGS = {"--on-demand", "--bypass", "--who", "--general"}


class Options:
    """The words after ``edge-pse run``."""

    def __init__(self, words: Sequence[str]):
        self._pairs = _pairs(words)

    def get(self, name: str) -> list[str]:
        """Values of an option, in order; of a flag that is given, one that is empty."""
        return [value for given, value in self._pairs if given == name]

    def set(self, name: str, values: Sequence[str]) -> None:
        """Give an option as often as there are values, and a flag if there is one; none takes it away."""
        for value in values:
            if any(not character.isprintable() for character in value):
                raise ControlError("There is something in that name that no option can hold.")
        self._pairs = [pair for pair in self._pairs if pair[0] != name]
        self._pairs += [(name, value) for value in values]

    def words(self) -> list[str]:
        """As ``edge-pse run`` takes them."""
        words: list[str] = []
        for name, value in self._pairs:
            if not name:
                words.append(value)
            elif name in _FLAGS:
                words.append(name)
            else:
                # In one word: a value may begin with a dash.
                words += [f"{name}={value}"] if value.startswith("-") else [name, value]
        return words


def _pairs(words: Sequence[str]) -> list[tuple[str, str]]:
    """Each option with its value; a word that belongs to none has an empty name."""
    pairs, left = [], list(words)
    while left:
        name, equals, value = left.pop(0).partition("=")
        if not name.startswith("--"):
            pairs.append(("", name + equals + value))
        elif name in _FLAGS:
            pairs.append((name, ""))
        else:
            pairs.append((name, value if equals or not left else left.pop(0)))
    return pairs


def read(path: Path) -> Options:
    """Those in a file; those that a service begins with if it is not there or names none."""
    try:
        found = _LINE.findall(path.read_text(encoding="utf-8"))
        if not found:
            return Options(AT_FIRST)
        return Options(shlex.split(_value(found[-1])))
    except FileNotFoundError:
        return Options(AT_FIRST)
    except (OSError, ValueError) as error:
        raise ControlError(
            f"The options in {path} can't be read: {error}. Mend or remove that file."
        ) from error


def write(path: Path, options: Options) -> None:
    """Put them into a file, whose other lines stay."""
    # systemd takes backslashes of a value away, and splits what is left as a shell does.
    line = f"{VARIABLE}={shlex.join(options.words())}".replace("\\", "\\\\")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        content = path.read_text(encoding="utf-8") if path.exists() else _HEADER
        kept = [old for old in content.splitlines() if not _LINE.match(old)]
        atomic.write(path, "\n".join([*kept, line, ""]).encode(), mode=None if path.exists() else atomic.OWN)
    except (OSError, ValueError) as error:
        raise ControlError(f"The options can't be written to {path}: {error}.") from error


def _value(text: str) -> str:
    """Of a variable as systemd reads it from a file of them: in quotation marks or not, with backslashes."""
    text = text.strip()
    if len(text) > 1 and text[0] in "\"'" and text[-1] == text[0] and text.count(text[0]) == 2:
        quote, text = text[0], text[1:-1]
        return text if quote == "'" else re.sub(r'\\(["\\`$])', r"\1", text)
    return re.sub(r"\\(.)", r"\1", text)

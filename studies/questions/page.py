"""The page that the answers are kept on: a section and a plot for each, replaced whenever it is asked again."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

PAGE = "questions.md"
_HEAD = """# Questions the paper leaves open

Every section is written by the command under its heading, which replaces it when it is run again. All on dev speakers,
noise and rooms that training never saw; means with 95 % bootstrap intervals. What was drawn is the same in all rows of
a table, so that a difference is one between equal clips, and its interval is narrower than those of the two means: two
rows differ for sure where the interval of their difference leaves out zero. What an earlier model answered says so: it
is to be asked again.
"""


@dataclass(frozen=True)
class Answer:
    """What became of one question."""

    name: str
    title: str
    command: str
    how: str
    """What was measured, in a few sentences."""
    table: str
    """Markdown."""
    plot: bytes
    """PNG."""

    def section(self) -> str:
        """As it stands on the page."""
        return (
            f"## {self.title}\n\n`{self.command}`\n\n{self.how}\n\n{self.table}\n\n"
            f"![{self.title}]({self._plot_name})\n"
        )

    @property
    def _plot_name(self) -> str:
        return f"questions-{self.name}.png"

    def write(self, folder: Path) -> None:
        """Put it on the page in ``folder``, in the place of an older answer or at the end, and its plot beside it.

        Raises OSError when it cannot be written; the page is then as it was.
        """
        folder.mkdir(parents=True, exist_ok=True)
        _replace(folder / self._plot_name, self.plot)
        page = folder / PAGE
        text = page.read_text(encoding="utf-8") if page.exists() else _HEAD
        begin, end = f"<!-- {self.name} -->\n", f"<!-- end of {self.name} -->\n"
        section = f"{begin}{self.section()}{end}"
        old = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        text = old.sub(lambda _: section, text) if old.search(text) else f"{text}\n{section}"
        _replace(page, text.encode())


def _replace(path: Path, content: bytes) -> None:
    unfinished = path.with_suffix(f".{os.getpid()}")
    unfinished.write_bytes(content)
    unfinished.replace(path)

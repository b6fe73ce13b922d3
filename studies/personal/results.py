"""The results file: a line for each cell, that is, for what one network became of one voice in one way.

It is written whole or not at all, after each cell, so that a study may be ended at any moment and goes on from there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from studies.personal.clips import ROWS

RESULTS = Path(__file__).with_name("results.jsonl")
GENERAL = "general"
"""The variant that learns nothing."""
RECIPE = "recipe"


@dataclass(frozen=True)
class Cell:
    """One line of the file."""

    network: str
    voice: str
    corpus: str
    sex: str
    seconds: float
    """Of reading."""
    variant: str
    minutes: float
    """Of learning, on the stated machine; 0: the general weights."""
    run_minutes: float
    """Of the whole run, of which this is a moment: its learning rate has come down only at its end."""
    precision: str
    recipe: str
    """Fingerprint of the stage that the variant begins with; empty for general weights."""
    steps: int
    """What those minutes hold: what can be done again elsewhere."""
    ms_a_step: float
    """Of the processor at hand, all threads together; 0 where nothing was learnt."""
    threads: int
    base: str
    """Model id of the general weights."""
    clips: int
    scores: dict[str, list[float]]

    @property
    def key(self) -> tuple[str | float, ...]:
        """What it answers; a later answer takes its place."""
        return (
            self.network, self.voice, self.seconds, self.variant, self.minutes, self.run_minutes, self.precision,
            self.recipe, self.base,
        )  # fmt: skip

    def same_as(self, other: Cell) -> bool:
        """Whether ``other`` was made alike: nothing of it has to be measured again."""
        return (self.key, self.steps, self.clips) == (other.key, other.steps, other.clips)

    def row(self, name: str) -> float:
        """A row of ``ROWS`` for this voice."""
        row = ROWS[name]
        return row.reduce(self.scores[row.of])


def read(file: Path) -> list[Cell]:
    """All cells, in the order in which they came; none where there is no file. Raises ValueError for another one."""
    if not file.exists():
        return []
    try:
        return [Cell(**json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]
    except TypeError as error:
        raise ValueError(f"{file} holds something else than cells of this study: {error}") from error


def add(file: Path, cells: Iterable[Cell]) -> None:
    """Put cells at the end, in the place of those with the same key; whole or not at all."""
    cells = list(cells)
    keys = {cell.key for cell in cells}
    kept = [cell for cell in read(file) if cell.key not in keys]
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    lines = [json.dumps(asdict(cell)) + "\n" for cell in (*kept, *cells)]
    partial.write_text("".join(lines), encoding="utf-8")
    partial.replace(file)

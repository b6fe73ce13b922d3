"""The page about streams of 8 kHz: ``python -m studies narrow-band-page`` writes docs/narrow-band.md.

All figures are those of the results file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np

from edge_pse.comfort_noise import LEVEL_DBFS
from evaluation.earlier import marked
from evaluation.metrics.statistics import summarise
from evaluation.report.markdown import table
from studies.narrow_band.measuring import (
    ALONE,
    BESIDE,
    FIRST,
    FIRST_SECONDS,
    GAIN,
    HALF,
    LEVEL,
    LOST,
    OTHER,
    RESULTS,
    TAKEN,
    WHOLE,
)
from studies.narrow_band.ways import ZEROS, steady

PAGE = Path(__file__).parents[2] / "docs" / "narrow-band.md"
SHIPPED = steady(LEVEL_DBFS)
OTHER_NETWORKS = [RESULTS.with_name(f"{name}.json") for name in ("pvqe-xs", "pvqe-s-far")]
TALKER_ROWS = (
    (ALONE, LEVEL), (ALONE, FIRST), (ALONE, LOST), (BESIDE, GAIN), (BESIDE, LOST), (OTHER, TAKEN),
)  # fmt: skip
SET_ROWS = ((ALONE, LOST), (BESIDE, GAIN), (BESIDE, LOST))
BANDS = ("half after whole", "half after half", "whole after half")

_HEAD = """# Streams of 8 kHz

A stream of 8 kHz ends at 4 kHz: telephones and older Bluetooth headsets give no more. The network sees 160 bins, up to
8 kHz. This page says what it is shown in the upper 80 of them, and why. It is written by
`python -m studies narrow-band-page` from the results in `studies/narrow_band/`, which `python -m studies narrow-band`
measures.

The stream goes through the network at its own rate, so that something has to stand in these bins. What the network
makes of it is thrown away in any case. These ways were tried:

- **zeros**.
- **resampled** to 16 kHz: by soxr, whose edge is steep, or by a filter of 4 ms, whose edge is not.
- **steady noise**, the same for all streams: the level is the mean square of all of it.
"""
_TALKERS = """## {count} dev speakers

Each was enrolled with ten seconds and is heard for seven, at 8 kHz and {level:.0f} dBFS: alone, beside another speaker
as loud, and not at all, while the other one speaks. "Enrolled with the whole band" is a profile that was made at
16 kHz. "At 8 kHz" is one of a recording of 8 kHz, shown as the stream is where that was resampled, and with zeros
elsewhere. Means over speakers; the model is {model}.
The first seconds are the first {first:.0f}. A frame is lost if it misses too much of the voice (TSOS, as in the
evaluation). "Taken away" is the loss of the other speaker, and should be much.
"""
_SET = """## The set "narrow-band" of the evaluation

Its {count} clips, with the right profile. "Half after whole": heard at 8 kHz, enrolled with the whole band. "Whole
after half": the other way round, where the way matters for the profile alone.
"""
_DIFFERENCES = """## Minus zeros

The same, pair by pair, with 95 % intervals. What differs for sure has an interval without zero.
"""
_NETWORKS = """## The other networks

What the noise brings them, minus zeros, with each third speaker and clip. The far end is silent.
"""
_CHOICE = """## What ships

**"{shipped}"** (`edge_pse.comfort_noise`), while the network listens for an enrolled voice. Profiles are made without.

- A microphone hears a little of everything. So a band with nothing in it is nothing that the network knows well. Of the
  dev speakers alone, {lost_before:.1f} % of the frames are lost with zeros and {lost_after:.1f} % with the noise.
  Another one who speaks alone loses {taken_before:.1f} dB with zeros and {taken_after:.1f} dB with the noise. In both
  cases the profile is of the whole band.
- Of the set, the clips that are heard and enrolled at 8 kHz lose fewer frames. Nothing else is known to change there.
- Of the dev speakers, the other networks lose fewer frames, too. pvqe-s-far takes a little less of another one away.
- Streams of 16 kHz and more are shown as they are, also where they hold nothing above 4 kHz.
"""


def _of(found: list[dict[str, Any]], way: str, metric: str, **wanted: str) -> list[float]:
    return [
        row["ways"][way][metric] for row in found if all(row[name] == value for name, value in wanted.items())
    ]


def _digits(metric: str) -> int:
    return 2 if metric in (LEVEL, FIRST, GAIN) else 1


def _table(found: list[dict[str, Any]], kinds: str, rows: list[tuple[str, str, str]]) -> str:
    ways = list(found[0]["ways"])
    lines = []
    for case, kind, metric in rows:
        cells = [
            f"{np.mean(_of(found, way, metric, case=case, **{kinds: kind})):.{_digits(metric)}f}"
            for way in ways
        ]
        lines.append([f"{case}, {_said(kinds, kind)}: {metric}", *cells])
    return table(["", *(f"**{way}**" if way == SHIPPED else way for way in ways)], lines)


def _said(kinds: str, kind: str) -> str:
    return f"enrolled {'with the ' if kind == WHOLE else 'at '}{kind}" if kinds == "enrolled" else kind


def _differences(found: dict[str, Any], ways: list[str]) -> str:
    header = ["", *(f"**{way}**" if way == SHIPPED else way for way in ways)]
    return table(header, _difference_rows(found, ways))


def _difference_rows(found: dict[str, Any], ways: list[str]) -> list[list[str]]:
    lines = []
    for group, kinds, rows in _groups():
        for case, kind, metric in rows:
            wanted = {"case": case, kinds: kind}
            before = np.array(_of(found[group], ZEROS, metric, **wanted))
            cells = []
            for way in ways:
                summary = summarise(np.array(_of(found[group], way, metric, **wanted)) - before)
                assert summary is not None
                digits = _digits(metric)
                cells.append(
                    f"{summary.mean:.{digits}f} [{summary.low:.{digits}f}, {summary.high:.{digits}f}]"
                )
            where = "speakers" if group == "talkers" else "set"
            lines.append([f"{where}: {case}, {_said(kinds, kind)}: {metric}", *cells])
    return lines


def _groups() -> list[tuple[str, str, list[tuple[str, str, str]]]]:
    talkers = [(case, kind, metric) for case, metric in TALKER_ROWS for kind in (WHOLE, HALF)]
    clips = [(case, kind, metric) for case, metric in SET_ROWS for kind in BANDS]
    return [("talkers", "enrolled", talkers), ("clips", "band", clips)]


def page(found: dict[str, Any], others: list[dict[str, Any]]) -> str:
    """All of it: of the results of pvqe-s, and of other networks with two of the ways."""
    (_, enrolled, talkers), (_, band, clips) = _groups()
    alone = {"case": ALONE, "enrolled": WHOLE}
    speakers = len(_of(found["talkers"], ZEROS, LEVEL, **alone))
    differing = [way for way in found["talkers"][0]["ways"] if way != ZEROS]
    lost = {way: np.mean(_of(found["talkers"], way, LOST, **alone)) for way in (ZEROS, SHIPPED)}
    taken = {
        way: np.mean(_of(found["talkers"], way, TAKEN, case=OTHER, enrolled=WHOLE))
        for way in (ZEROS, SHIPPED)
    }
    parts = [
        _HEAD,
        _TALKERS.format(
            count=speakers, level=found["level_dbfs"], model=found["model"], first=FIRST_SECONDS
        ),
        _table(found["talkers"], enrolled, talkers) + "\n",
        _SET.format(count=len(found["clips"])),
        _table(found["clips"], band, clips) + "\n",
        _DIFFERENCES,
        _differences(found, differing) + "\n",
        _NETWORKS,
        _networks_table(others) + "\n",
        _CHOICE.format(
            shipped=SHIPPED, lost_before=lost[ZEROS], lost_after=lost[SHIPPED], taken_before=taken[ZEROS],
            taken_after=taken[SHIPPED],
        ),
    ]  # fmt: skip
    return marked("\n".join(parts))


def _networks_table(others: list[dict[str, Any]]) -> str:
    columns = [_difference_rows(found, [SHIPPED]) for found in others]
    rows = [[same[0][0], *(row[1] for row in same)] for same in zip(*columns, strict=True)]
    return table(["", *(found["model"] for found in others)], rows)


def read(path: Path) -> Any:
    """A results file."""
    return json.loads(path.read_text(encoding="utf-8"))


@click.command()
def main() -> None:
    """Write the page from the results file."""
    PAGE.write_text(page(read(RESULTS), [read(path) for path in OTHER_NETWORKS]), encoding="utf-8")
    click.echo(f"{PAGE} is written.")

"""The page about several voices: ``python -m studies several-voices-page`` writes docs/several-voices.md.

All figures are those of the results files.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import numpy as np

from evaluation.earlier import marked
from evaluation.metrics.statistics import summarise
from evaluation.report.markdown import table
from studies.several import clips, keeping, who
from studies.several.clips import AT_ONCE, AT_ONCE_STRANGER, BESIDE, CROSS, IN_TURN, NOISE, SAME, STRANGER
from studies.several.keeping import DISTORTION, GAIN, LEVEL, LOST, TAKEN
from studies.several.ways import NONE, ONE, WAYS

PAGE = Path(__file__).parents[2] / "docs" / "several-voices.md"
SHIPPED = "greatest of each bin"
ROWS = (
    (clips.ALONE, LEVEL), (clips.ALONE, LOST), (NOISE, GAIN), *((case, GAIN) for case in BESIDE.values()),
    (IN_TURN, GAIN), (IN_TURN, LOST), (AT_ONCE, DISTORTION), (AT_ONCE_STRANGER, DISTORTION), (STRANGER, TAKEN),
)  # fmt: skip

_HEAD = """# Several voices at once

`--profile` may be given more than once, and `Enhancer` takes several profiles: whoever of them speaks is
kept. This page says how that is done, what it costs, and how well the Enhancer tells who speaks. It is written
by `python -m studies several-voices-page` from `studies/several/keeping.json` and `studies/several/who.json`, which
`python -m studies several-voices` and `python -m studies who` measure.
"""
_KEEPING = """## How several voices are kept

The network that ships takes one profile. So either it makes a step for each profile, and the outputs are
combined in each bin of time and frequency. Or it makes one step, with the mean of the profiles.

{groups} groups of three dev speakers were drawn. Two of them are enrolled with ten seconds each, the third is a
stranger. Half of the pairs are of one sex, and half of the strangers are of the sex of the first. Clips are
{clip_seconds} seconds long; voices are equally loud where nothing else is said. "In turn": the first speaks, then the
second, while the stranger talks 5 dB below them; the same level has the stranger where both speak at once.
"One profile" is that of whoever speaks; where both or the stranger alone speak, it is that of the first. SI-SDR
is against the voices that should be kept. Figures are means; of the stranger alone, means and medians. The model
is {model}.
"""
_CHOICE = """**What ships is "{shipped}"**: of each bin, the output that keeps most of it. A voice is as loud as
with its own profile alone, and less of a single voice is lost. The limited sum is better when both speak at
once. It takes less noise and less of strangers away when one speaks, which is nearly always. The mean of the
profiles costs nothing and keeps strangers out better, but loses more of the voices themselves than any other way.

**A second profile has its price**: a stranger comes through who sounds like either of the two. Of the stranger alone,
half of the clips lose {one_db:.1f} dB or more with one profile, and {both_db:.1f} dB or more with two. By the sexes of
the two who are enrolled, with 95 % intervals over groups:
"""
_COST = """## What a further profile costs

| profiles | a hop, ms | times that of one |
| --- | --- | --- |
{rows}

Medians over {groups} runs on one core of a busy x86 machine, {model};
only the ratios mean something elsewhere. The network's encoder does the same for each profile. Model files that are cut
behind it would save that part; the files that ship are whole.
"""
_WHO = """## Who speaks

`Enhancer.identify` says for each second which profile the voice is nearest to, and how likely that is. It
compares in the space in which profiles are compared, by what the network says of the stream without a profile.
`edge_pse.speakers.together` judges several seconds at once: a turn, or a command.

{groups} streams were made of six dev speakers, who take turns of {turn} seconds, half of them in rooms, in noise at
10 to 30 dB. One to four of them are enrolled, the others are strangers. A voice is named if it is more likely
than not; strangers count as much as the enrolled. The likelihood is learnt from one half of the
streams and tried on the other, both ways.
"""
_NOT_A_LOCK = """"Nearest is right" holds while only enrolled voices speak. Strangers are what goes wrong: they are
named if they sound alike. So this is a guess for captions, notes and tags. It guards nothing.
"""


def _values(
    found: Iterable[dict[str, Any]], case: str, way: str, metric: str, sexes: str | None = None
) -> list[float]:
    return [
        clip["ways"][way][metric]
        for clip in found
        if clip["case"] == case and (sexes is None or clip["sexes"] == sexes)
    ]


def ways_table(found: list[dict[str, Any]]) -> str:
    """A row for each thing that counts, a column for each way."""
    rows = []
    for case, metric in ROWS:
        cells = []
        for way in WAYS:
            values = _values(found, case, way, metric)
            text = f"{np.mean(values):.{2 if metric == LEVEL else 1}f}"
            cells.append(f"{text} / {np.median(values):.1f}" if metric == TAKEN else text)
        rows.append([f"{case}: {metric}", *cells])
    return table(["", *(f"**{way}**" if way == SHIPPED else way for way in WAYS)], rows)


def sexes_table(found: list[dict[str, Any]]) -> str:
    """What ships against the single profile, by sexes."""
    rows = []
    for case, metric in ROWS:
        cells = []
        for sexes in (SAME, CROSS):
            for way in (ONE, SHIPPED, NONE):
                summary = summarise(_values(found, case, way, metric, sexes))
                assert summary is not None
                interval = "" if way == NONE else f" [{summary.low:.1f}, {summary.high:.1f}]"
                cells.append(f"{summary.mean:.1f}{interval}")
        rows.append([f"{case}: {metric}", *cells])
    names = ("one profile", "both", "none")
    return table(["", *(f"{sexes}: {name}" for sexes in (SAME, CROSS) for name in names)], rows)


def page(kept: dict[str, Any], told: dict[str, Any]) -> str:
    """The whole page, as Markdown."""
    found = kept["clips"]
    cost = np.median(np.array(kept["cost_ms"]), axis=0)
    rows = "\n".join(f"| {count} | {ms:.2f} | {ms / cost[0]:.2f} |" for count, ms in enumerate(cost, 1))
    parts = [
        _HEAD,
        _KEEPING.format(groups=kept["groups"], clip_seconds=clips.CLIP_SECONDS, model=kept["model"]),
        ways_table(found),
        _CHOICE.format(
            shipped=SHIPPED,
            one_db=np.median(_values(found, STRANGER, ONE, TAKEN)),
            both_db=np.median(_values(found, STRANGER, SHIPPED, TAKEN)),
        ),
        sexes_table(found),
        _COST.format(rows=rows, groups=len(kept["cost_ms"]), model=kept["model"]),
        _WHO.format(groups=told["groups"], turn=who.TURN_SECONDS),
        who.who_table(told),
        _NOT_A_LOCK,
    ]
    return marked("\n\n".join(part.strip() for part in parts) + "\n")


@click.command()
def main() -> None:
    """Write docs/several-voices.md."""
    kept, told = (json.loads(path.read_text(encoding="utf-8")) for path in (keeping.RESULTS, who.RESULTS))
    PAGE.write_text(page(kept, told), encoding="utf-8")
    click.echo(f"{PAGE} is written.")

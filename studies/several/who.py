"""``python -m studies who``: how often the Enhancer is wrong about who speaks, and how sure it may be.

Six dev speakers take turns in noise, half of them in rooms; one to four of them are enrolled, the others are strangers.
Whoever is nearest is named if that is more likely than not. The weights of the likelihood are learnt from one half of
the groups and tried on the other, both ways; what ships is learnt from all. Strangers count as much as those who are
enrolled.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from edge_pse.model import Model
from edge_pse.speakers import features
from evaluation.report.markdown import table
from studies import options
from studies.several.turns import ENROLLED, STRANGERS, TURN_SECONDS, Said, TurnBuilder

RESULTS = Path(__file__).with_name("who.json")
GROUPS = 30
RIDGE = 0.001
UNITS = (1, 2, 3, TURN_SECONDS)
_DIGITS = 3


class Trials:
    """All parts of all turns, with the first ``enrolled`` voices enrolled and everybody else a stranger."""

    def __init__(self, said: Sequence[Said], enrolled: int):
        self.features = np.array([features(one.cosines[:enrolled], one.speech_seconds) for one in said])
        named = np.array([int(one.cosines[:enrolled].argmax()) for one in said])
        speaker = np.array([one.speaker for one in said])
        self.group = np.array([one.group for one in said])
        self.seconds = np.array([one.seconds for one in said])
        self.stranger = speaker >= enrolled
        self.right = named == speaker
        self.weights = np.zeros(len(said))
        for seconds in UNITS:
            for stranger in (False, True):
                alike = (self.seconds == seconds) & (self.stranger == stranger)
                self.weights[alike] = 1 / max(1, alike.sum())


def fit(trials: Sequence[Trials], groups: NDArray[np.integer]) -> NDArray[np.float64]:
    """Weights of ``edge_pse.speakers.features`` with which those groups are told best, (4,)."""
    chosen = [np.isin(one.group, groups) for one in trials]
    inputs = np.concatenate([one.features[of] for one, of in zip(trials, chosen, strict=True)])
    right = np.concatenate([one.right[of] for one, of in zip(trials, chosen, strict=True)])
    counts = np.concatenate([one.weights[of] for one, of in zip(trials, chosen, strict=True)])
    counts /= counts.sum()
    signs = np.where(right, 1.0, -1.0)

    def loss(weights: NDArray[np.float64]) -> float:
        wrong = np.logaddexp(0, -signs * (inputs @ weights))
        return float(counts @ wrong + RIDGE * weights[1:] @ weights[1:])

    return np.asarray(minimize(loss, np.zeros(inputs.shape[1])).x)


def errors(trials: Trials, probability: NDArray[np.floating], seconds: int) -> dict[str, float]:
    """Shares of 1: of those who are enrolled, named rightly, as another, as nobody; strangers named as somebody."""
    unit = trials.seconds == seconds
    enrolled, stranger = unit & ~trials.stranger, unit & trials.stranger
    named = probability >= 0.5
    return {
        "right": float(np.mean((named & trials.right)[enrolled])),
        "another": float(np.mean((named & ~trials.right)[enrolled])),
        "nobody": float(np.mean(~named[enrolled])),
        "nearest": float(np.mean(trials.right[enrolled])),
        "strangers named": float(np.mean(named[stranger])),
        "count": int(enrolled.sum()),
        "strangers": int(stranger.sum()),
    }


def evaluate(said: Sequence[Said]) -> dict[str, Any]:
    """What goes into the results file."""
    trials = [Trials(said, enrolled) for enrolled in range(1, ENROLLED + 1)]
    groups = np.unique([one.group for one in said])
    halves = groups[::2], groups[1::2]
    rows = []
    for enrolled, one in enumerate(trials, 1):
        probability = np.zeros(len(said))
        for learnt, tried in (halves, halves[::-1]):
            of = np.isin(one.group, tried)
            probability[of] = 1 / (1 + np.exp(-one.features[of] @ fit(trials, learnt)))
        for seconds in UNITS:
            figures = errors(one, probability, seconds)
            rows.append(
                {
                    "enrolled": enrolled,
                    "seconds": seconds,
                    **{k: round(v, _DIGITS) for k, v in figures.items()},
                }
            )
    weights = [round(float(weight), _DIGITS) for weight in fit(trials, groups)]
    return {"groups": len(groups), "strangers": STRANGERS, "weights": weights, "rows": rows}


def sentence(results: dict[str, Any]) -> str:
    """What `edge_pse.speakers.ERRORS` has to say."""
    second, turn = (
        next(row for row in results["rows"] if (row["enrolled"], row["seconds"]) == (2, seconds))
        for seconds in (1, TURN_SECONDS)
    )

    def percent(share: float) -> str:
        return f"{100 * share:.0f} %"

    return (
        f"With two enrolled voices, {percent(second['right'])} of their seconds are named rightly, "
        f"{percent(second['another'])} as the other and {percent(second['nobody'])} as nobody; of a stranger's seconds "
        f"{percent(second['strangers named'])} are taken for one of them, of turns of {TURN_SECONDS} seconds "
        f"{percent(turn['strangers named'])}."
    )


def who_table(results: dict[str, Any]) -> str:
    """A row for each number of enrolled voices and length."""
    rows = []
    for row in results["rows"]:
        length = f"{row['seconds']} s" if row["seconds"] != TURN_SECONDS else f"a turn of {TURN_SECONDS} s"
        shares = [
            f"{100 * row[name]:.1f}" for name in ("right", "another", "nobody", "strangers named", "nearest")
        ]
        rows.append([str(row["enrolled"]), length, *shares, f"{row['count']:.0f} / {row['strangers']:.0f}"])
    headings = ["enrolled", "heard", "named rightly, %", "as another, %", "as nobody, %"]
    headings += ["strangers named, %", "nearest is right, %", "parts of theirs / of strangers"]
    return table(headings, rows)


@click.command()
@options.data
@options.backend
@click.option(
    "--groups", type=click.IntRange(2), default=GROUPS, show_default=True, help="Of six people each."
)
@click.option(
    "--results", type=click.Path(dir_okay=False, path_type=Path), default=RESULTS, help="File to write."
)
def main(root: Path, backend: str, groups: int, results: Path) -> None:
    """Say how often the Enhancer is wrong about who speaks, and write it into the results file."""
    builder = TurnBuilder(root, Model.load(backend=backend))
    said = [one for number in options.progress(range(groups), "groups") for one in builder.group(number)]
    found = evaluate(said)
    results.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    click.echo(who_table(found))
    click.echo(f"\nWEIGHTS = {tuple(found['weights'])}\nERRORS = {sentence(found)!r}")

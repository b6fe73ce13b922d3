"""``python -m studies questions``: answer some of the questions, or all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from edge_pse.errors import EdgePseError
from edge_pse.model import DEFAULT_MODEL
from evaluation.data import DATA_VARIABLE, data_root
from evaluation.sets.render import DataError
from studies.questions.enrolling import enrollment_disturbance, enrollment_length, enrollment_place
from studies.questions.measuring import Studio
from studies.questions.page import PAGE, Answer
from studies.questions.talking import absence, other_talkers, overlap

QUESTIONS: dict[str, Callable[[Studio], Answer]] = {
    "length": enrollment_length,
    "place": enrollment_place,
    "disturbance": enrollment_disturbance,
    "others": other_talkers,
    "overlap": overlap,
    "absence": absence,
}


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(QUESTIONS)))
@click.option(
    "--model", "model_name", default=DEFAULT_MODEL, show_default=True, help="Name or path of a model."
)
@click.option(
    "--backend", default="auto", show_default=True, help="Inference runtime; litert is the fastest."
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    envvar=DATA_VARIABLE,
    show_envvar=True,
    help="Folder of the evaluation data.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help=f"Folder of {PAGE} and its plots.",
)
def main(names: tuple[str, ...], model_name: str, backend: str, data: Path | None, out: Path) -> None:
    """Answer the questions NAMES (default: all), two or three minutes of one core each.

    Each answer takes the place of an older one on the page; the others are left as they are.
    """
    try:
        studio = Studio(data_root(data), model_name, backend)
        for name in names or QUESTIONS:
            click.echo(f"{name}:", err=True)
            answer = QUESTIONS[name](studio)
            answer.write(out)
            click.echo(answer.section())
    except (OSError, ValueError, DataError, EdgePseError) as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main()

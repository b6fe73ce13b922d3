"""``python -m studies questions``: answer some of the questions, or all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from studies import options
from studies.questions.enrollments import enrollment_disturbance, enrollment_length, enrollment_place
from studies.questions.measuring import Studio, command
from studies.questions.page import Answer
from studies.questions.talkers import absence, other_talkers, overlap

QUESTIONS: dict[str, Callable[[Studio], Answer]] = {
    "length": enrollment_length,
    "place": enrollment_place,
    "disturbance": enrollment_disturbance,
    "others": other_talkers,
    "overlap": overlap,
    "absence": absence,
}
"""Those that any model can be asked."""
NETWORK_QUESTIONS = ("tap", "size")
"""Those of `studies.questions.network`."""
CHECKPOINT = Path(__file__).parents[2] / "training/checkpoints/pvqe-s.pt"


@click.command()
@click.argument("names", nargs=-1, type=click.Choice([*QUESTIONS, *NETWORK_QUESTIONS]))
@options.model
@options.backend
@click.option(
    "--checkpoint", type=click.Path(exists=True, dir_okay=False, path_type=Path), default=CHECKPOINT,
    show_default=CHECKPOINT.name, help=f"The network that {' and '.join(NETWORK_QUESTIONS)} are asked of.",
)  # fmt: skip
@options.data
@options.out
def main(
    names: tuple[str, ...], model_name: str, backend: str, checkpoint: Path, root: Path, out: Path
) -> None:
    """Answer the questions NAMES (default: all), two or three minutes of one core each.

    Each answer takes the place of an older one on the page; the others are left as they are. What tap and size ask of
    the network itself needs PyTorch.
    """
    names = names or (*QUESTIONS, *NETWORK_QUESTIONS)
    ask = dict(QUESTIONS)
    if not ask.keys() >= set(names):
        ask |= _network_questions(checkpoint)
    studio = Studio(root, model_name, backend)
    for name in names:
        click.echo(f"{name}:", err=True)
        answer = ask[name](studio)
        answer.write(out)
        click.echo(answer.section())


def _network_questions(checkpoint: Path) -> dict[str, Callable[[Studio], Answer]]:
    from studies.questions.network import open_questions  # and PyTorch, which the others do without

    more = () if checkpoint == CHECKPOINT else ("--checkpoint", str(checkpoint))
    return open_questions(checkpoint, {name: command(name, *more) for name in NETWORK_QUESTIONS})

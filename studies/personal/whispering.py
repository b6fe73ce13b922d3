"""What personal weights leave of whispering: ``python -m studies personal-whispering``.

It takes the weights that ``python -m studies personal --weights FOLDER`` kept. They were learnt of speech alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import click
import torch

from edge_pse.enrollment import conditioning
from edge_pse.model import Model
from evaluation.published import StudyTable, publish_tables
from evaluation.report.markdown import table
from evaluation.sets.corpus import Talker, read_talkers
from studies import options
from studies.personal.command import in_fp32
from studies.personal.privacy import Learnt, kept_weights
from studies.personal.voices import cut, in_turns
from studies.whispering import Kept, Samples, Voice, content, kept, voice_of
from training import options as training_options
from training.checkpoint import model_id
from training.network import Network

TABLE = "whispering with personal weights"


def voices_of(root: Path, learnt: list[Learnt]) -> Iterator[Voice]:
    """Each with the reading that was learnt, and the one after it in the list beside it."""
    talkers: dict[str, Talker] = {talker.speaker: talker for talker in in_turns(read_talkers(root))}
    for number, one in enumerate(learnt):
        reader, other = cut(talkers[one.voice], one.seconds), talkers[learnt[number - 1].voice]
        yield voice_of(root, reader, other, number, one.seconds)


def measure(
    root: Path, general: Network, learnt: list[Learnt], profile_model: Model
) -> dict[str, list[Kept]]:
    """By weights -> what is kept of each voice."""
    found: dict[str, list[Kept]] = {"general": [], "personal": []}
    voices = voices_of(root, learnt)
    for one in options.progress(learnt, "voices"):
        voice = next(voices)
        profile = torch.from_numpy(conditioning(voice.enrollment, profile_model))
        for so_far, network in zip(found.values(), (general, one.network), strict=True):
            so_far.append(kept(partial(_enhanced, network, profile), voice))
    return found


def _enhanced(network: Network, profile: torch.Tensor, samples: Samples) -> Samples:
    (enhanced,) = in_fp32(network, profile)([samples])
    return enhanced


@click.command()
@options.data
@options.weights
@click.option("--network", "name", default="pvqe-s", show_default=True)
@click.option("--publish", "published", is_flag=True, help="Write the table into evaluation/results.json.")
def main(root: Path, folder: Path, name: str, published: bool) -> None:
    """Say what personal weights leave of an enrolled voice that whispers."""
    training_options.start(1, 0, "cpu")
    general, learnt = kept_weights(name, folder)
    header, rows = content(
        measure(root, general, learnt, Model.load(f"{name}.fp32").profile_network()), "weights"
    )
    if published:
        command = "python -m studies personal-whispering"
        publish_tables({TABLE: StudyTable(command, model_id(general), header, rows)})
    click.echo(table(header, rows))

"""The mean of two trainings of one network: ``python -m training.mean BEFORE AFTER -o MEAN``.

Weights of a run and of what it began with lie close enough together for their mean to be a network, too; it often has
a part of what each of them does well (Wortsman et al., arXiv 2109.01903). Hours and steps it says are those of AFTER.
"""

from __future__ import annotations

from pathlib import Path

import click
import torch

from training.checkpoint import keep_profiles, load_checkpoint, model_id, save_checkpoint, take_profiles
from training.network import Network


def mean(before: Network, after: Network, share: float) -> Network:
    """``after``, changed in place: ``share`` of its own weights, the rest of ``before``'s. Raises ValueError when they
    are not of one kind. Profiles that both make to the bit as the other does stay what they are. If they may be others
    now, where they are compared is forgotten, and they have the mean's own id.
    """
    if before.config != after.config:
        raise ValueError("Weights of two kinds of network have no mean: give two trainings of one.")
    old = before.state_dict()
    after.load_state_dict(
        {
            n: torch.lerp(old[n], w, share) if w.is_floating_point() else w
            for n, w in after.state_dict().items()
        }
    )
    after.voice_space = None
    keep_profiles(after, before)
    return after


_CHECKPOINT = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("before", type=_CHECKPOINT)
@click.argument("after", type=_CHECKPOINT)
@click.option("--share", type=click.FloatRange(0, 1), default=0.5, show_default=True, help="Of AFTER.")
@click.option(
    "--profile-network",
    type=_CHECKPOINT,
    help="The network whose profiles it takes, if not the one of AFTER.",
)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), required=True)
def main(before: Path, after: Path, share: float, profile_network: Path | None, output: Path) -> None:
    """Write the mean of the weights of BEFORE and AFTER."""
    network, history = load_checkpoint(after)
    if profile_network is not None and network.makes_profiles:
        raise click.UsageError(f"{after} makes its own profiles: leave --profile-network out.")
    try:
        network = mean(load_checkpoint(before)[0], network, share)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    if profile_network is not None:
        take_profiles(network, load_checkpoint(profile_network)[0])
    save_checkpoint(output, network, history)
    click.echo(f"{output}: {model_id(load_checkpoint(output)[0])}")


if __name__ == "__main__":
    main()

"""What several commands say where a model or a file is not what was asked for."""

from __future__ import annotations

from edge_pse.audio.files import CHOICE_SECONDS
from edge_pse.channels import Selection
from edge_pse.model import Model, available_models, far_end_variant


def no_far_end(model: Model) -> str:
    """What to say where a far end is given and ``model`` does not take one."""
    networks = sorted({path.name.partition(".")[0] for path in available_models()})
    able = [network for network in networks if network == far_end_variant(network)]
    wanted = far_end_variant(model.contract.network)
    advice = f"choose --model {able[0]}" if able else f"install {wanted}, or name a model that can"
    return f"Echo stays, because {model.path.name} can't cancel it: {advice}."


def chosen_channels(selection: Selection, from_start: bool) -> str:
    """What to say where some channels of a file are left out; ``from_start``: by how it begins."""
    numbers = [str(channel + 1) for channel in selection.channels]
    chosen = numbers[0] if len(numbers) == 1 else f"{', '.join(numbers[:-1])} and {numbers[-1]}"
    heard = f" in the first {CHOICE_SECONDS} s" if from_start else ""
    return (
        f"Took channel{'s' * (len(numbers) > 1)} {chosen} of {selection.total}, where most speech is{heard}; the rest "
        "does not agree with it. --channel names another one, --keep-channels keeps all."
    )

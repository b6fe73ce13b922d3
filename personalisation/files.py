"""From a network that has learnt one voice to the weights of each of its model files, checked on the reading.

The model files themselves are those that are installed: what was learnt is put in the places of the numbers that were
exported there, so that none of the tools that made the files is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_pse.backends import RUNTIMES
from edge_pse.enrollment import embed
from edge_pse.errors import ModelError
from edge_pse.model import MODELS_DIR, Model
from edge_pse.model_file import read_model, weight_ranges
from export.constants import Constant, read_constants
from export.graph import StepGraph
from export.parity import TOLERANCE, measure_parity
from export.weights import find_places, parameters, ranges_of
from quantization.quality import enhance, snr_db
from quantization.steps import int8_arrays
from training.checkpoint import load_checkpoint, model_id
from training.network import SAMPLE_RATE_HZ, Network

Samples = NDArray[np.float32]
CHECKPOINTS = Path(__file__).parents[1] / "training/checkpoints"
MIN_SNR_DB = 20.0
"""Of the int8 output against the fp32 one. The shipped files have 31 dB and more on the readings of the tests, those of
five voices that had learnt 28 and more."""
LONGEST_SPEECH_S = 21.0
"""Of the reading: more says no more, and takes its time."""
_ENROLLMENT_S = 6.0
_FAR_END_EARLIER_S = 0.08


class FilesError(Exception):
    """What was learnt can't be put into the model files, or does not come out of them as it was learnt."""


@dataclass(frozen=True)
class General:
    """The weights for everybody of one network: what personal ones take the place of."""

    model_id: str
    sha256: dict[str, str]
    """Checksum of each model file by its name."""


def general_of(name: str) -> General:
    """Those that are installed of a network: ``pvqe-s``, ``pvqe-s-far`` or ``pvqe-xs``.

    FilesError if its files are missing or damaged, or not all of the same network.
    """
    descriptions = {path.name: _read(path)[1] for path in _files(name)}
    ids = {description["model_id"] for description in descriptions.values()}
    if len(ids) != 1:
        raise FilesError(f"The model files of {name} are of different releases: install edge-pse again.")
    return General(ids.pop(), {file: description["sha256"] for file, description in descriptions.items()})


def files_of(network: Network, name: str, speech: Sequence[Samples]) -> dict[str, bytes]:
    """The weights of each model file of a network after learning, by the file's name, for ``Model.with_weights``.

    ``network``: what learnt, from the general weights of ``name``, in evaluation mode. ``speech``: the reading,
    (sample,) float32 at 16 kHz each, on which each file is run in each installed runtime: fp32 against ``network``
    (sample by sample, as ``export.parity`` has it), int8 against fp32 (MIN_SNR_DB). Files of a format that no installed
    runtime runs are not made. Raises FilesError, a sentence, where one of them fails.
    """
    weights = learnt_weights(network, name)
    check(network, weights, speech)
    return weights


def learnt_weights(network: Network, name: str) -> dict[str, bytes]:
    """The same without the proof."""
    general, _ = load_checkpoint(CHECKPOINTS / f"{name}.pt")
    if general_of(name).model_id != model_id(general):
        raise FilesError(
            f"{name} learns from other weights than its model files have: install edge-pse again."
        )
    before, after = StepGraph(general), parameters(StepGraph(network))
    weights = {}
    for source in _files(name, "fp32"):
        constants = read_constants(source)
        arrays = {
            place: found.lay_out(after[found.parameter], constants[place].values.shape)
            for place, found in find_places(before, constants).items()
        }
        weights[source.name] = _in_order(source, constants, arrays)
        for path in _files(name, "int8*", source.suffix):
            constants = read_constants(path)
            weights[path.name] = _in_order(path, constants, int8_arrays(arrays, constants))
    return weights


def check(network: Network, weights: Mapping[str, bytes], speech: Sequence[Samples]) -> None:
    """Run each file with its weights in each installed runtime; FilesError where one does not give what it must."""
    first, second = np.array_split(np.concatenate(speech)[: round(LONGEST_SPEECH_S * SAMPLE_RATE_HZ)], 2)
    for name, runtime in RUNTIMES.items():
        paths = [MODELS_DIR / file for file in weights if file.endswith(runtime.suffix)]
        if runtime.installed_version() is None or not paths:
            continue
        # A runtime that is given another file in place of one is judged by that.
        models = [_open(path, weights[path.name], name) for path in paths if runtime.file_for(path) == path]
        models.sort(key=lambda model: model.contract.precision != "fp32")
        fp32, *others = models
        parity = measure_parity(network, fp32, (first, second))
        # Embeddings may be farther apart: nobody's profile comes from a network that knows one voice.
        if not parity.samples <= TOLERANCE:
            raise FilesError(f"{fp32.file_name} does not give what was learnt in {name}: {parity}.")
        profile = embed(first[: round(_ENROLLMENT_S * SAMPLE_RATE_HZ)], fp32.profile_network())
        wanted = _enhance(fp32, profile, first, second)
        for model in others:
            snr = snr_db(wanted, _enhance(model, profile, first, second))
            if not snr >= MIN_SNR_DB:  # nor if it is no number
                raise FilesError(
                    f"{model.file_name} is too far from what was learnt in {name}: output SNR {snr:.1f} dB, at least "
                    f"{MIN_SNR_DB:.0f} is wanted."
                )


def _enhance(model: Model, profile: Samples, first: Samples, second: Samples) -> Samples:
    """What it makes of the voice under itself at other times, then alone."""
    over = np.resize(second, len(first))
    far_end = np.roll(over, -round(_FAR_END_EARLIER_S * SAMPLE_RATE_HZ))
    noisy, heard = np.r_[first + over, first], np.r_[far_end, np.zeros_like(first)]
    return enhance(model, noisy, profile, heard if model.contract.far_end else None)


def _files(name: str, precision: str = "*", suffix: str = ".*") -> list[Path]:
    """The installed model files of a network that something here can run."""
    suffixes = {runtime.suffix for runtime in RUNTIMES.values() if runtime.installed_version() is not None}
    paths = [
        path for path in sorted(MODELS_DIR.glob(f"{name}.{precision}{suffix}")) if path.suffix in suffixes
    ]
    if not paths:
        raise FilesError(f"There are no model files of {name} here: install edge-pse again.")
    return paths


def _read(path: Path) -> tuple[bytes, dict[str, Any]]:
    try:
        return read_model(path)
    except ModelError as error:
        raise FilesError(f"Model {path} can't be used: {error}") from error


def _open(path: Path, weights: bytes, runtime: str) -> Model:
    try:
        return Model.load(path, runtime).with_weights(weights)
    except ModelError as error:
        raise FilesError(str(error)) from error


def _in_order(path: Path, constants: Mapping[str, Constant], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Arrays of a file, one after the other as it has them."""
    content, description = _read(path)
    if [tuple(place) for place in ranges_of(constants, arrays)] != [
        *weight_ranges(description, len(content))
    ]:
        raise FilesError(f"{path.name} has its weights elsewhere than it says: install edge-pse again.")
    return b"".join(
        np.ascontiguousarray(arrays[name], constants[name].values.dtype).tobytes()
        for name in sorted(arrays, key=lambda name: constants[name].offset)
    )

"""A model file and its contract: what the graph takes and gives, checked before anything relies on it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from edge_pse.backends import RUNTIMES, Backend, Frame, Shapes, open_model
from edge_pse.errors import BundleError
from edge_pse.voices import VoiceSpace

SCHEMA_VERSION = 1
DEFAULT_MODEL = "pvqe-s"
DEFAULT_PRECISION = "fp32"
_FAR_END = "-far"
"""Ends the names of networks that take a far end."""
MODELS_DIR = Path(__file__).parent / "models"


@dataclass(frozen=True)
class StateSpec:
    """One state tensor that a step leaves for the next; zeros before the first."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Contract:
    """What an exporter promises about a model: the metadata of the file, field by field.

    The graph takes ``spectrum`` (1, 2, 1, bins), real and imaginary part of the bins from ``first_bin`` up of
    an unnormalised ``window_samples``-point transform under a square-root Hann window; where there is a far
    end, ``far``, the same of what the loudspeaker is given, zeros for nothing; ``profile`` (1,
    profile_size), zeros for nobody in particular; and the states by name. It gives ``enhanced``, shaped as
    ``spectrum``, ``embedding`` (1, embedding_size), and each state as ``<name>_next``. All are float32.
    """

    network: str
    model_id: str
    """Shared by all precisions of the same weights; a voice profile is made by one model id."""
    profiles_of: str
    """Id of the model that makes the profiles for this one: its own, or that of a model beside it."""
    precision: str
    licence: str
    sample_rate_hz: int
    hop_samples: int
    window_samples: int
    first_bin: int
    bins: int
    profile_size: int
    embedding_size: int
    far_end: bool
    """It cancels the echo of a far end, and so takes ``far``."""
    states: tuple[StateSpec, ...]
    voice_space: VoiceSpace = field(repr=False)
    """Where its embeddings are compared."""

    @classmethod
    def from_json(cls, text: str) -> Contract:
        """Read and check the metadata of a model file; BundleError says what is wrong with it."""
        try:
            content = json.loads(text)
        except ValueError:
            content = None
        if not isinstance(content, dict) or "schema_version" not in content:
            raise BundleError("it carries no edge_pse metadata: export it with this project's exporter.")
        if content["schema_version"] != SCHEMA_VERSION:
            raise BundleError(
                f"its metadata have schema {content['schema_version']}, this program reads {SCHEMA_VERSION}: "
                "use the edge-pse that the model was made for."
            )
        try:
            contract = cls(**{field.name: _read_field(content, field.name) for field in fields(cls)})
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(
                f"its metadata are incomplete or of the wrong type ({error}): export it again."
            ) from None
        contract._check()
        return contract

    @property
    def makes_profiles(self) -> bool:
        """Whether its embeddings are the profiles that it takes."""
        return self.profiles_of == self.model_id

    @property
    def delay_samples(self) -> int:
        """How many samples the output stream lags the input stream."""
        return self.window_samples - self.hop_samples

    @property
    def latency_ms(self) -> float:
        """From a sound to its enhanced sound at best: the delay, and a hop to gather before it is run."""
        return 1000 * (self.delay_samples + self.hop_samples) / self.sample_rate_hz

    def initial_states(self) -> list[Frame]:
        """The states before the first frame, in order."""
        return [np.zeros(state.shape, np.float32) for state in self.states]

    def check_graph(self, backend: Backend) -> None:
        """BundleError unless the graph takes and gives exactly what the metadata promise, in that order."""
        for kind, promised, found in (
            ("inputs", self._inputs(), backend.inputs),
            ("outputs", self._outputs(), backend.outputs),
        ):
            if list(promised.items()) != list(found.items()):
                wrong = sorted(dict(promised.items() ^ found.items())) or ["their order"]
                raise BundleError(
                    f"its {kind} are not what its metadata promise ({', '.join(wrong)}): export it again."
                )

    def _check(self) -> None:
        if self.window_samples != 2 * self.hop_samples:
            raise BundleError("its window is not twice its hop, so overlap-add can't give the signal back.")
        if self.bins != self.window_samples // 2 + 1 - self.first_bin:
            raise BundleError("its bins do not reach from the first one to the Nyquist frequency.")

    def _inputs(self) -> Shapes:
        frame = (1, 2, 1, self.bins)
        states = {state.name: state.shape for state in self.states}
        far = {"far": frame} if self.far_end else {}
        return {"spectrum": frame, **far, "profile": (1, self.profile_size), **states}

    def _outputs(self) -> Shapes:
        states = {f"{state.name}_next": state.shape for state in self.states}
        return {"enhanced": (1, 2, 1, self.bins), "embedding": (1, self.embedding_size), **states}


@dataclass(frozen=True)
class Bundle:
    """A model ready to run: the open file and what is known about it. Several streams may share one."""

    path: Path
    contract: Contract
    backend: Backend

    @classmethod
    def load(
        cls,
        model: str | Path = DEFAULT_MODEL,
        backend: str | Sequence[str] = "auto",
        threads: int = 1,
        far_end: bool = False,
    ) -> Bundle:
        """Open a model.

        ``model``: a name (``pvqe-s``, or with its precision ``pvqe-s.int8``) of a model that came with the
        package, or the path of a model file. ``backend``: a key of ``edge_pse.backends.RUNTIMES``, or
        ``auto`` for the first installed one that has the model, or several to choose from, the preferred one
        first; ``Bundle.backend.name`` says which it is. ``threads``: for the work on one frame, which is
        little: more than one may well be slower. ``far_end``: there is one, so that the place of a model
        given by its name is taken by its variant with a far end (``pvqe-s-far`` for ``pvqe-s``) where that
        is installed; ``Bundle.contract.far_end`` says. Raises BundleError when there is no such model or
        runtime, or when file and metadata do not fit each other or this program.
        """
        named = [backend] if isinstance(backend, str) else backend
        wanted = list(RUNTIMES) if backend == "auto" else named
        for name in wanted:
            if name not in RUNTIMES:
                raise BundleError(f"There is no backend {name!r}: choose one of auto, {', '.join(RUNTIMES)}.")
        # Those that are missing come last: if one of them is needed, the error says what to install.
        candidates = sorted(wanted, key=lambda name: RUNTIMES[name].installed_version() is None)
        found = _find_variant(model, candidates) if far_end and _is_name(model) else None
        path, runtime_name = found or _find(model, candidates)
        try:
            opened = open_model(path, runtime_name, threads)
            contract = Contract.from_json(opened.metadata)
            contract.check_graph(opened)
        except BundleError as error:
            raise BundleError(f"Model {path} can't be used: {error}") from error
        return cls(path, contract, opened)

    def enroller(self) -> Bundle:
        """The model that makes the profiles for this one: itself, or the file beside it of the network it names.

        BundleError if that is missing or of other weights.
        """
        if self.contract.makes_profiles:
            return self
        network = self.contract.profiles_of.rpartition("-")[0]
        _, dot, rest = self.path.name.partition(".")
        maker = Bundle.load(self.path.with_name(network + dot + rest), self.backend.name)
        if maker.contract.model_id != self.contract.profiles_of:
            raise BundleError(
                f"Model {self.path} takes the profiles of {self.contract.profiles_of}, but {maker.path} is "
                f"{maker.contract.model_id}: install both from one release."
            )
        return maker

    @classmethod
    def of(cls, model: Bundle | str | Path) -> Bundle:
        """A loaded model as it is, another one loaded."""
        return model if isinstance(model, Bundle) else cls.load(model)


def available_models() -> list[Path]:
    """The model files that came with the package, in alphabetical order."""
    suffixes = {runtime.suffix for runtime in RUNTIMES.values()}
    return sorted(path for path in MODELS_DIR.glob("*") if path.suffix in suffixes)


def far_end_variant(model: str) -> str:
    """Name of the model that is like ``model`` and takes a far end: ``pvqe-s-far.int8`` for ``pvqe-s.int8``."""
    network, dot, precision = model.partition(".")
    return f"{network.removesuffix(_FAR_END)}{_FAR_END}{dot}{precision}"


def _is_name(model: str | Path) -> bool:
    """Whether it is the name of a model that came with the package, not a path."""
    if isinstance(model, Path):
        return False
    return os.sep not in model and not any(model.endswith(r.suffix) for r in RUNTIMES.values())


def _find_variant(model: str | Path, runtime_names: list[str]) -> tuple[Path, str] | None:
    try:
        return _find(far_end_variant(str(model)), runtime_names)
    except BundleError:
        return None


def _find(model: str | Path, runtime_names: list[str]) -> tuple[Path, str]:
    """Path of a model and the name of the runtime for it, from those given, the preferred one first."""
    by_suffix: dict[str, str] = {}
    for name in runtime_names:
        by_suffix.setdefault(RUNTIMES[name].suffix, name)
    if not _is_name(model):
        given = Path(model)
        if given.suffix not in by_suffix:
            raise BundleError(f"Can't run {given}: name a model file that ends in {' or '.join(by_suffix)}.")
        if not given.is_file():
            raise BundleError(
                f"There is no model file {given}: check the path, or name a model that is installed."
            )
        return given, by_suffix[given.suffix]
    for suffix, runtime_name in by_suffix.items():
        for stem in (model, f"{model}.{DEFAULT_PRECISION}"):
            path = MODELS_DIR / f"{stem}{suffix}"
            if path.is_file():
                return path, runtime_name
    installed = ", ".join(path.name for path in available_models()) or "none"
    raise BundleError(f"There is no model {model!r} here; installed: {installed}.")


def _read_field(content: dict[str, Any], name: str) -> Any:
    if name == "voice_space":
        return VoiceSpace.decode(str(content.get(name, "")), int(content["embedding_size"]))
    # Files of models that take their own profiles may leave these two out.
    same_as = {"profiles_of": "model_id", "profile_size": "embedding_size"}.get(name, name)
    value = content.get(name, content[same_as])
    if name == "states":
        return tuple(StateSpec(str(state["name"]), tuple(map(int, state["shape"]))) for state in value)
    if name in ("network", "model_id", "profiles_of", "precision", "licence"):
        fits = isinstance(value, str)
    elif name == "far_end":
        fits = isinstance(value, bool)
    else:
        fits = type(value) is int and value > 0
    if not fits:
        raise ValueError(f"{name} is {value!r}")
    return value

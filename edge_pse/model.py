"""A model by its name or path, open in a runtime, with its contract."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from edge_pse.backends import RUNTIMES, Backend, open_model
from edge_pse.contract import Contract
from edge_pse.errors import ModelError
from edge_pse.model_file import Ranges, read_model, replace_weights, weight_ranges
from edge_pse.paths import is_file
from edge_pse.text import shown

DEFAULT_MODEL = "pvqe-s"
PRECISIONS = ("int8", "fp32")
"""Which of a network's files is meant where none is named, the preferred one first."""
MOST_THREADS = 64
"""A runtime takes memory for each, and none of them looks whether there is so much."""
_FAR_END = "-far"
"""Ends the names of networks that take a far end."""
MODELS_DIR = Path(__file__).parent / "models"


@dataclass(frozen=True)
class Model:
    """A model ready to run: the open file and what is known about it. Several streams may share one."""

    path: Path
    """The file that was opened."""
    contract: Contract
    """What its description says; for callers are ``network``, ``model_id``, ``precision``, ``licence``,
    ``sample_rate_hz``, ``latency_ms`` and ``far_end``, whether it takes one."""
    backend: Backend
    """The runtime that has it open; for callers is ``backend.name``, which says which."""
    sha256: str
    """Checksum of the file, in hexadecimal digits; a model with other weights keeps that of the file."""
    general: Model | None = None
    """The one with the weights of the file, where this one has others."""
    _ranges: Ranges = field(default=(), repr=False)
    _threads: int = field(default=1, repr=False)

    @classmethod
    def load(
        cls,
        model: str | Path = DEFAULT_MODEL,
        backend: str | Sequence[str] = "auto",
        threads: int = 1,
        far_end: bool = False,
    ) -> Model:
        """Open a model.

        ``model``: a name (``pvqe-s``, or with its precision ``pvqe-s.int8``) of a model that came with the
        package, or the path of a model file, with its description beside it: both are trusted as code is,
        because the runtime that runs the file may do with it whatever it can. ``backend``:
        ``litert``, ``onnx`` or ``tflite-runtime``, or ``auto`` for the first installed one that has the model,
        or several to choose from, the preferred one first; ``Model.backend.name`` says which it is, ``Model.path``
        which file it was given. ``threads``: for the work on one frame, which is little: more than one may
        well be slower; 1 to 64. ``far_end``: there is one, so that the place of a model given by its name is taken by
        its variant with a far end (``pvqe-s-far`` for ``pvqe-s``) where that is installed;
        ``Model.contract.far_end`` says. Raises ModelError when there is no such model or runtime, for other
        numbers of threads, or when file and description do not fit each other or this program.
        """
        if threads not in range(1, MOST_THREADS + 1):
            raise ModelError(f"A model runs on 1 to {MOST_THREADS} threads, not {threads!r}.")
        named = [backend] if isinstance(backend, str) else backend
        wanted = list(RUNTIMES) if backend == "auto" else named
        for name in wanted:
            if name not in RUNTIMES:
                raise ModelError(f"There is no backend {name!r}: choose one of auto, {', '.join(RUNTIMES)}.")
        # Those that are missing come last: if one of them is needed, the error says what to install.
        candidates = sorted(wanted, key=lambda name: RUNTIMES[name].installed_version() is None)
        found = _find_variant(model, candidates) if far_end and _is_name(model) else None
        path, runtime_name = found or _find(model, candidates)
        path = RUNTIMES[runtime_name].file_for(path)
        try:
            content, description = read_model(path)
            contract = Contract.of(description)
            ranges = weight_ranges(description, len(content))
            opened = open_model(content, runtime_name, threads)
            contract.check_graph(opened)
        except ModelError as error:
            raise ModelError(f"Model {shown(path)} can't be used: {error}") from error
        return cls(path, contract, opened, description["sha256"], _ranges=ranges, _threads=threads)

    def with_weights(self, weights: bytes) -> Model:
        """The same model with other trained numbers, such as those that have learnt one voice, in the same runtime.

        ``weights``: the bytes that take the places of its own, in the order of the file, as
        ``edge_pse.model_file.extract_weights`` takes them from a file. They are numbers, whatever they are: what is
        done with them stays what the installed file says. Its profiles are those of the general model. Raises
        ModelError when they are too few or too many or nothing that the runtime takes for weights, when the description
        of the file doesn't say where they belong, or when the file is no longer the one that was loaded.
        """
        general = self.general or self
        try:
            content, description = read_model(self.path)
            if description["sha256"] != self.sha256:
                raise ModelError("its file has been replaced since it was loaded: load it again.")
            changed = replace_weights(content, self._ranges, weights)
        except ModelError as error:
            raise ModelError(f"Model {shown(self.path)} can't take other weights: {error}") from error
        try:
            opened = open_model(changed, self.backend.name, self._threads)
        except ModelError as error:  # it says that the runtime is too old, but that runs the file as it is
            raise ModelError(
                f"Model {shown(self.path)} can't take these weights: {self.backend.name} doesn't run it with them, so "
                "they are damaged. Make them again."
            ) from error
        return replace(self, backend=opened, general=general)

    @property
    def file_name(self) -> str:
        """What its file is called where it came with the package, wherever it lies now: ``pvqe-s.int8.tflite``."""
        return f"{self.contract.network}.{self.contract.precision}{self.path.suffix}"

    def profile_network(self) -> Model:
        """The model that makes the profiles for this one: itself, or the file beside it of the network it names.

        For a model with other weights, it is that of the general one. ModelError if that is missing or makes
        others.
        """
        if self.general is not None:
            return self.general.profile_network()
        if self.contract.makes_profiles:
            return self
        wanted = self.contract
        _, dot, rest = self.path.name.partition(".")
        profile_network = Model.load(
            self.path.with_name(wanted.profile_network_name + dot + rest), self.backend.name
        )
        made = profile_network.contract
        if made.profiles_of != wanted.profiles_of or not made.makes_profiles:
            raise ModelError(
                f"Model {self.path} takes the profiles of {wanted.profiles_of}, which {profile_network.path}, "
                f"{made.model_id}, does not make: install both from one release."
            )
        return profile_network

    @classmethod
    def of(cls, model: Model | str | Path) -> Model:
        """A loaded model as it is, another one loaded."""
        return model if isinstance(model, Model) else cls.load(model)


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
    except ModelError:
        return None


def _find(model: str | Path, runtime_names: list[str]) -> tuple[Path, str]:
    """Path of a model and the name of the runtime for it, from those given, the preferred one first."""
    by_suffix: dict[str, str] = {}
    for name in runtime_names:
        by_suffix.setdefault(RUNTIMES[name].suffix, name)
    if not _is_name(model):
        given = Path(model)
        if given.suffix not in by_suffix:
            raise ModelError(
                f"Can't run {shown(given)}: name a model file that ends in {' or '.join(by_suffix)}."
            )
        if not is_file(given):
            raise ModelError(
                f"There is no model file {shown(given)}: check the path, or name a model that is installed."
            )
        return given, by_suffix[given.suffix]
    for suffix, runtime_name in by_suffix.items():
        for stem in (model, *(f"{model}.{precision}" for precision in PRECISIONS)):
            path = MODELS_DIR / f"{stem}{suffix}"
            if is_file(path):
                return path, runtime_name
    installed = ", ".join(path.name for path in available_models()) or "none"
    raise ModelError(f"There is no model {str(model)!r} here; installed: {installed}.")

"""The command, the small data folder of the evaluation's tests, and the recordings of the training's."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from studies.__main__ import main
from studies.personal import voices
from studies.personal.results import RECIPE
from tests.evaluation.conftest import build, data, quick_scenes
from tests.training.conftest import recordings, simulator

__all__ = ["build", "data", "quick_scenes", "recordings", "simulator"]


@pytest.fixture(scope="session")
def study() -> Callable[..., Result]:
    """``study("size")``: what ``python -m studies size`` does and says."""
    return lambda *arguments: CliRunner().invoke(main, list(map(str, arguments)))


@pytest.fixture
def weights_of_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, str]:
    """A folder with what pvqe-xs learnt of two voices of the small data folder, a little, and its model id.

    The voices count as having enough recordings.
    """
    torch = pytest.importorskip("torch", reason="personal weights need PyTorch")
    from studies.personal.command import CHECKPOINTS
    from training.checkpoint import load_checkpoint, model_id, save_checkpoint

    monkeypatch.setattr(voices, "READINGS_S", (9.0,))
    monkeypatch.setattr(voices, "SHORTEST_SET_ASIDE_S", 9.0)
    monkeypatch.setattr(voices, "LEAST_REST_S", 5.0)
    folder = tmp_path / "weights"
    folder.mkdir()
    network, _ = load_checkpoint(CHECKPOINTS / "pvqe-xs.pt")
    base = model_id(network)
    network.profiles_of = network.profiles_of or base
    history = {"seconds": 9.0, "variant": RECIPE, "steps": 7, "ms_a_step": 1, "threads": 1}
    for voice in ("ls1688", "ls367"):
        with torch.no_grad():
            network.profile.bias.add_(0.01)
        save_checkpoint(folder / f"{base}-{voice}.pt", network, {"voice": voice, **history})
    return folder, base

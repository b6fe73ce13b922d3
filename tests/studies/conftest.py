"""The command, the small data folder of the evaluation's tests, and the recordings of the training's."""

from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from studies.__main__ import main
from tests.evaluation.conftest import build, data, quick_scenes
from tests.training.conftest import recordings, simulator

__all__ = ["build", "data", "quick_scenes", "recordings", "simulator"]


@pytest.fixture(scope="session")
def study() -> Callable[..., Result]:
    """``study("size")``: what ``python -m studies size`` does and says."""
    return lambda *arguments: CliRunner().invoke(main, list(map(str, arguments)))

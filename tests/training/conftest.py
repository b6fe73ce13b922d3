"""Recordings laid out as training expects them, and the quietest of scenes."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from tests.conftest import FIXTURES
from training.simulation.corpus import load_bank
from training.simulation.rooms import load_rooms
from training.simulation.scenes import SceneSettings, SceneSimulator

torch.set_num_threads(1)  # frames are too small to share, and a busy machine makes threads wait

QUIET = SceneSettings(
    speakers=4, single_mixtures=1, clip_s=1.5, enrollment_clips=(1, 1), snr_db=(60, 60), clean_share=1, dry_share=1,
    third_talker_share=0, partial_share=0, noisy_enrollment_share=0, close_share=0, equaliser_db=0, clipped_share=0,
    sir_db=(0, 0), level_dbfs=(-30, -30),
)  # fmt: skip


def small_stage(steps: int) -> str:
    """A stage of a schedule whose steps are as small as steps may be, for what is asked of the run around them."""
    return (
        f'[[stage]]\nname = "tried"\nsteps = {steps}\nlearning_rate = 1e-3\n'
        "[stage.scenes]\nspeakers = 2\nsingle_mixtures = 0\nunprofiled_outputs = 0\nabsent_outputs = 0\n"
        "enrolled_twice = false\nclip_s = 0.5\nenrollment_clips = [1, 1]\n"
    )


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four "speakers" of a few utterances each, laid out as training expects them."""
    root = tmp_path_factory.mktemp("recordings")
    for speaker, name in enumerate(
        ("ls367_enrollment", "ls2033_enrollment", "ls367_speech", "ls2033_speech")
    ):
        audio, rate = soundfile.read(FIXTURES / f"{name}.opus", dtype="float32")
        audio = np.tile(audio, 2)[: 14 * rate]
        folder = root / "speech" / f"speaker{speaker}"
        folder.mkdir(parents=True)
        for i, piece in enumerate(np.array_split(audio, 3)):
            soundfile.write(folder / f"{i}.wav", piece, rate)
    noise, rate = soundfile.read(FIXTURES / "helicopter.opus", dtype="float32")
    (root / "noise").mkdir()
    soundfile.write(root / "noise/helicopter.wav", noise, rate)
    return root


@pytest.fixture
def simulator(recordings: Path, tmp_path: Path) -> SceneSimulator:
    return SceneSimulator(
        load_bank("speech", [recordings / "speech"], tmp_path),
        load_bank("noise", [recordings / "noise"], tmp_path),
        load_rooms([], 2, tmp_path),
        np.random.default_rng(3),
    )


@pytest.fixture
def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

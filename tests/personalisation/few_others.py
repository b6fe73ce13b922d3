"""The learner's process with few others to learn against, so that it begins at once; all else is as it is.

``python -m tests.personalisation.few_others``; with ``--keep`` all that was learnt is kept.
"""

from __future__ import annotations

import sys

import numpy as np
import soundfile
import torch

from personalisation import files, judging, learner, likeness, others
from personalisation.__main__ import main
from personalisation.others import Others, Sounds, Voice
from tests.conftest import FIXTURES
from training.checkpoint import load_checkpoint
from training.network import SAMPLE_RATE_HZ
from training.simulation.corpus import Bank, Track, active_level
from training.simulation.rooms import simulate_room

_SPEECH = [f"ls{speaker}_{part}" for speaker in (367, 2033, 3080) for part in ("enrollment", "speech")]


def few_others(profile_network: str) -> Others:
    """Six voices, a noise, two rooms; the same for learning and judging."""
    network, _ = load_checkpoint(learner.CHECKPOINTS / f"{profile_network.rpartition('-')[0]}.pt")
    speech, noise = _bank(_SPEECH), _bank(["helicopter"])
    voices = tuple(Voice("fixtures", track.name, "en", None, None) for track in speech.tracks)
    responses = np.stack([simulate_room(np.random.default_rng(seed)) for seed in range(2)])
    rooms = others.Rooms(torch.from_numpy(responses.astype(np.float32)))
    sounds = Sounds(speech, voices, likeness.embed(speech, network), noise, rooms)
    return Others(**vars(sounds), judging=sounds)


def _bank(names: list[str]) -> Bank:
    recordings = [soundfile.read(FIXTURES / f"{name}.opus", dtype="int16")[0] for name in names]
    # As long as a training clip and what must not overlap it.
    pieces = [np.resize(recording, max(len(recording), 9 * SAMPLE_RATE_HZ)) for recording in recordings]
    offsets = np.cumsum([0, *map(len, pieces)])
    tracks = [
        Track(name, int(offset), len(piece), active_level(piece / np.float32(32768)), (0,))
        for name, offset, piece in zip(names, offsets, pieces, strict=False)
    ]
    return Bank(torch.from_numpy(np.concatenate(pieces)), tracks)


if __name__ == "__main__":
    others.load_others = few_others
    learner._ALL_SCENES_MINUTES = 1000.0  # as few of them as there may be
    if "--keep" in sys.argv:
        judging.MOST_LOSS_DB = judging.MOST_LOST_FRAMES = judging.MOST_LOST_FIRST_SECOND = 1000.0
        judging.LEAST_SCORE_DB = -1000.0
        judging.SHARES, judging.SNAPSHOT_SHARES = 1, (1.0,)
        judging.SNAPSHOTS = learner.SNAPSHOTS = {0.0: "moment"}
        files.check = lambda network, weights, speech: None  # tests of files have it
    sys.exit(main())

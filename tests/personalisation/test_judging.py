"""Which weights are kept: on real speech, by real networks, general ones and what is made of them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from evaluation.metrics.signal import ONSET_RANGE_DB, active_frames
from personalisation import judging
from personalisation.judging import Judge, Moment, Scores
from personalisation.scenes import (
    ALONE,
    LATE,
    LEVEL,
    LOST,
    NAMED,
    NOISE,
    OTHER,
    ROWS,
    SIMILAR,
    Voices,
    draw_scenes,
)
from tests.training.conftest import recordings  # noqa: F401 - a fixture
from training.checkpoint import load_checkpoint
from training.network import HOP_SAMPLES, SAMPLE_RATE_HZ, Network
from training.simulation.corpus import load_bank
from training.simulation.rooms import load_rooms

CHECKPOINTS = Path(__file__).parents[2] / "training/checkpoints"
OTHERS_FRAMES = SAMPLE_RATE_HZ // HOP_SAMPLES
"""In which others talk before the voice comes in: a second."""

Recording = Callable[[str], NDArray[np.float32]]


@pytest.fixture(scope="module")
def voices(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Voices:  # noqa: F811
    cache = tmp_path_factory.mktemp("cache")
    speech = load_bank("speech", [recordings / "speech"], cache)
    noise = load_bank("noise", [recordings / "noise"], cache)
    return Voices(speech, np.array([1, 3, 0, 2]), noise, load_rooms([], 2, cache))


@pytest.fixture(scope="module")
def network() -> Network:
    return load_checkpoint(CHECKPOINTS / "pvqe-xs.pt")[0]


@pytest.fixture(scope="module")
def profile(recording: Recording) -> torch.Tensor:
    from edge_pse import Model
    from edge_pse.enrollment import conditioning

    return torch.from_numpy(conditioning(recording("ls3080_enrollment"), Model.load("pvqe-s.fp32")))


@pytest.fixture(autouse=True)
def _two_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "SHARES", 2)


@pytest.fixture(scope="module")
def held(recording: Recording) -> NDArray[np.float32]:
    return recording("ls3080_enrollment")[-19_200:]


def _blurred(network: Network) -> Network:
    """The same weights, but each frame that leaves it has a part of the one before in it: worse in each row."""

    def blur(module: nn.Module, given: object, made: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        before = torch.nn.functional.pad(made[0], (0, 0, 1, 0))[:, :, :-1]
        return 0.93 * (made[0] + 0.4 * before), *made[1:]

    blurred = copy.deepcopy(network)
    blurred.register_forward_hook(blur)
    return blurred


def _opening_late(network: Network, held: NDArray[np.float32]) -> Network:
    """The same weights; but where others talk first, 0.3 s of the voice are muted: in clips longer than ``held``."""
    longest = len(held) // HOP_SAMPLES + 1

    def mute(module: nn.Module, given: tuple[torch.Tensor, ...], made: tuple[torch.Tensor, ...]) -> Any:
        gains = torch.ones(made[0].shape[2])
        if len(gains) > longest:
            gains[OTHERS_FRAMES : OTHERS_FRAMES + 30] = 0
        return made[0] * gains[:, None], *made[1:]

    late = copy.deepcopy(network)
    late.register_forward_hook(mute)
    return late


def test_the_scenes_of_a_reading_are_always_the_same(
    voices: Voices, held: NDArray[np.float32], recording: Recording
) -> None:
    first, again = (draw_scenes([held], voices, share=0) for _ in range(2))
    assert first.rows == again.rows and set(first.rows) == {row.name for row in ROWS} - {NAMED}
    for sounds, same in ((first.mixtures, again.mixtures), (first.references, again.references)):
        assert all(torch.equal(one, other) for one, other in zip(sounds, same, strict=True))
    for row, mixture, reference in zip(first.rows, first.mixtures, first.references, strict=True):
        assert mixture.abs().max() <= 1 and mixture.square().mean() > 1e-6
        assert (reference.square().mean() > 1e-7) == (row != ALONE), row
    named = draw_scenes([held], voices, [recording("ls1688_enrollment")], share=0)
    assert named.rows.count(NAMED) == 3
    whole = draw_scenes([held], voices)
    assert whole.rows.count(SIMILAR) == 18 and len(whole.some(0.5).rows) == (len(whole.rows) + 1) // 2


@pytest.mark.parametrize("seconds", [2.5, 1.2])
def test_somebody_else_talks_first_and_goes_on(voices: Voices, recording: Recording, seconds: float) -> None:
    """Also where as little is held out as there may be, and less."""
    held = recording("ls3080_enrollment")[-round(seconds * SAMPLE_RATE_HZ) :]
    scenes = draw_scenes([held], voices)
    late = [clip for row, *clip in zip(*vars(scenes).values(), strict=True) if row == LATE]
    assert len(late) == 18
    for mixture, reference in late:
        others, voice = mixture[:SAMPLE_RATE_HZ], reference[SAMPLE_RATE_HZ:]
        assert len(mixture) == len(reference) and 1.1 < len(voice) / SAMPLE_RATE_HZ <= 1.2
        assert reference[:SAMPLE_RATE_HZ].abs().max() < 1e-6, "but for the rounding of convolutions"
        assert others.square().mean() > 0.03 * voice.square().mean()
        assert active_frames(voice.numpy(), ONSET_RANGE_DB)[:30].any(), "it comes in at once"
        assert (mixture[SAMPLE_RATE_HZ:] - voice).square().mean() > 0.008 * voice.square().mean()


def test_what_is_worse_is_refused_and_what_is_better_is_kept(
    voices: Voices, held: NDArray[np.float32], profile: torch.Tensor, network: Network
) -> None:
    scenes = draw_scenes([held], voices, share=0)
    judge = Judge(_blurred(network), profile, scenes)
    kept = judge.choose([Moment(network)])
    assert kept.network is network and kept.scores()["share"] == 1
    assert all(row["kept"] >= row["general"] for row in kept.scores()["rows"].values())
    assert judge.interim_gain_db(network) > 0.5
    assert len(kept.sentences()) == 3 and kept.sentences()[0].startswith("Beside similar voices")
    lost = [-kept.scores()["rows"][LATE][weights] for weights in ("kept", "general")]
    assert kept.sentences()[1].endswith(
        f"; of your first second after them {lost[0]} % is lost, with the general weights {lost[1]} %."
    )
    judge = Judge(network, profile, scenes)
    refused = judge.choose([], earlier=_blurred(network))
    assert refused.network is None and refused.scores()["share"] == 0
    assert [candidate.proposal.earlier for candidate in refused.candidates] == [True]
    assert len(refused.sentences()) == 3 and refused.sentences()[0].startswith("The general weights are kept")
    nothing = judge.choose([])
    assert nothing.network is None
    assert nothing.sentences()[0] == "The general weights are kept: it ended before anything was learnt."


def test_what_was_learnt_by_an_earlier_moment_is_kept_where_later_it_was_worse_again(
    voices: Voices, held: NDArray[np.float32], profile: torch.Tensor, network: Network
) -> None:
    scenes = draw_scenes([held], voices, share=0)
    worse = _blurred(network)
    judge = Judge(worse, profile, scenes)
    learnt = [Moment(network, 1 / 3), Moment(worse, 2 / 3), Moment(worse)]
    verdict = judge.choose(learnt)
    assert verdict.network is network
    assert verdict.sentences()[2].endswith("all of what was learnt in the first third of the time is kept.")
    judged = [(about["time_share"], about["share"]) for about in verdict.scores()["candidates"]]
    assert judged == [(1, 1), (1, 0.5), (0.667, 1), (0.333, 1), (0.667, 0.5), (0.333, 0.5)]
    hasty = judge.choose(learnt, left_s=lambda: 0.0)
    assert hasty.network is None and len(hasty.candidates) == judging.FEWEST_CANDIDATES


def test_a_network_that_keeps_silent_is_refused(
    voices: Voices, held: NDArray[np.float32], profile: torch.Tensor, network: Network
) -> None:
    scenes = draw_scenes([held], voices, share=0)
    silent = copy.deepcopy(network)
    with torch.no_grad():
        silent.decoder4.expand.conv.conv.weight.zero_()
        assert silent.decoder4.expand.conv.conv.bias is not None
        silent.decoder4.expand.conv.conv.bias.zero_()
    verdict = Judge(network, profile, scenes).choose([Moment(silent)])
    assert verdict.chosen is None or verdict.chosen.proposal.share < 1
    whole = next(candidate for candidate in verdict.candidates if candidate.proposal.share == 1)
    assert whole.scores[ALONE].mean() == 40 and judging.worse_rows(verdict.general, whole.scores)


def test_what_opens_late_after_others_is_refused_by_that_alone(
    voices: Voices, held: NDArray[np.float32], profile: torch.Tensor, network: Network
) -> None:
    scenes = draw_scenes([held], voices, share=0)
    judge = Judge(_blurred(network), profile, scenes)
    assert judge.choose([Moment(network)]).network is not None
    refused = judge.choose([Moment(_opening_late(network, held))])
    assert [about["worse"] for about in refused.scores()["candidates"]] == [[LATE], [LATE]]
    assert refused.network is None
    assert all(about["score_db"] > judging.LEAST_SCORE_DB for about in refused.scores()["candidates"])


def _scores(**rows: float) -> Scores:
    names = {"similar": SIMILAR, "other": OTHER, "alone": ALONE, "noise": NOISE, "level": LEVEL, "lost": LOST}
    names["late"] = LATE
    return {name: np.full(4, rows.get(key, 0.0)) for key, name in names.items()}


@pytest.mark.parametrize("rows", [("similar", "other"), ("alone",), ("noise",), ("level",)])
def test_no_row_may_lose_more_than_a_fifth_of_a_decibel(rows: tuple[str, ...]) -> None:
    gains = {"similar": 3.0, "other": 3.0, "alone": 9.0, "noise": 1.0}
    assert not judging.worse_rows(_scores(), _scores(**{**gains, **dict.fromkeys(rows, -0.15)}))
    assert judging.worse_rows(_scores(), _scores(**{**gains, **dict.fromkeys(rows, -0.25)}))


@pytest.mark.parametrize(
    ("most", "judged"),
    [
        (1.0, [1.0, 0.75, 0.5, 0.25]),
        (0.9, [1.0, 0.5, 0.75, 0.875]),
        (0.7, [1.0, 0.5, 0.75, 0.625]),
        (0.2, [1.0, 0.5, 0.25, 0.125]),
        (0.4, [1.0, 0.5, 0.25, 0.375]),
    ],
)
def test_the_largest_share_that_may_be_kept_is_looked_for(
    most: float, judged: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "SHARES", 4)
    admissible: dict[float, bool] = {}
    while len(admissible) < len(judged):
        share = judging.next_share(admissible)
        admissible[share] = share <= most
    assert list(admissible) == judged


def test_few_clips_say_little_beside_what_their_like_say() -> None:
    assert not judging.worse_rows(_scores(), _scores(similar=1.0, other=-0.25))
    assert judging.worse_rows(_scores(), _scores(similar=1.0, other=-2.0))


def test_few_frames_of_the_voice_may_be_lost() -> None:
    assert not judging.worse_rows(_scores(), _scores(lost=-0.4))
    assert judging.worse_rows(_scores(), _scores(lost=-0.6))


def test_little_of_the_first_second_after_others_may_be_lost() -> None:
    assert not judging.worse_rows(_scores(), _scores(late=-1.9))
    assert judging.worse_rows(_scores(), _scores(late=-2.1)) == [LATE]
    turned = (
        {**_scores(), LATE: np.array([0.0, 0.0, -9.0, -60.0])},
        {**_scores(), LATE: np.array([0.0, -30, -30, 0])},
    )
    assert judging.worse_rows(*turned) == [LATE], "what is heard of one clip is not lost of another"

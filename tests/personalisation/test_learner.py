"""A voice learnt by a process of its own, from real speech, in a few steps."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from edge_pse import Model, Profile, enroll
from edge_pse.personalisation import voice
from edge_pse.profiles import PersonalWeights
from personalisation.learner import (
    SHORTEST_AGAINST_S,
    Learner,
    LearnerError,
    Request,
    check,
    load_networks,
    pack,
    speech_s,
    split,
    unpack,
)
from personalisation.scenes import NAMED
from tests.personalisation.few_others import few_others

Samples = NDArray[np.float32]
Recording = Callable[[str], Samples]
ROOT = Path(__file__).parents[2]
NETWORK = "pvqe-xs"
MINUTES = 10.0
"""Plenty, also on a machine that is busy with other tests: whoever needs less ends it."""
_ENDED_WITHIN_S = 40
"""Of the processor, from the word to the result."""


@pytest.fixture(scope="module")
def reading(recording: Recording) -> Samples:
    return recording("ls1688_enrollment")


@pytest.fixture(scope="module")
def profile(reading: Samples) -> Profile:
    return enroll(reading, 16_000, name="ls1688")


class Process:
    """The learner, started in an empty folder, which is that for temporary files, too."""

    def __init__(self, folder: Path, *module: str):
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-m", *module],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip
        assert self.process.stdin is not None and self.process.stdout is not None
        self.input, self.output = self.process.stdin, self.process.stdout

    def ask(
        self,
        profile: Profile,
        reading: list[Samples],
        against: Sequence[Samples] = (),
        minutes: float = MINUTES,
    ) -> None:
        conditioning = profile.conditioning.astype("<f4").tobytes()
        task = {
            "network": NETWORK, "minutes": minutes, "threads": 1, "profile": base64.b64encode(conditioning).decode(),
            "profile_id": profile.id, "reading": [len(samples) for samples in reading],
            "against": [len(samples) for samples in against], "start": 0,
        }  # fmt: skip
        sound = b"".join(samples.astype("<f4").tobytes() for samples in (*reading, *against))
        self.input.write(json.dumps(task).encode() + b"\n" + sound)
        self.input.flush()

    def next(self) -> dict[str, Any]:
        """The next event."""
        return dict(json.loads(self.output.readline()))

    def processor_s(self) -> float:
        """What it has taken of the processor."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")

    def left(self) -> list[str]:
        """What lies in its folder."""
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*"))


@contextmanager
def started(folder: Path, *module: str) -> Iterator[Process]:
    learner = Process(folder, *(module or ["personalisation"]))
    try:
        yield learner
    finally:
        learner.process.kill()
        learner.process.wait()
        learner.input.close()
        learner.output.close()


def test_a_voice_is_learnt_until_somebody_says_stop(
    tmp_path: Path, profile: Profile, reading: Samples, recording: Recording
) -> None:
    with started(tmp_path, "tests.personalisation.few_others", "--keep") as learner:
        learner.ask(profile, [reading], [recording("ls3080_enrollment")[: 6 * 16_000]])
        assert learner.next() == {"event": "started"}
        while (event := learner.next())["event"] == "progress" and not event["steps"]:
            assert 0 < event["minutes_left"] < MINUTES and event["score_db"] is None
            assert learner.left() == []
        learner.input.write(b"stop\n")
        learner.input.flush()
        stopped_s = learner.processor_s()
        while event["event"] == "progress":
            event = learner.next()
        assert learner.processor_s() - stopped_s < _ENDED_WITHIN_S
        assert event["event"] == "result" and event["better"] and len(event["sentences"]) == 3
        content = learner.output.read(event["bytes"])
        assert len(content) == event["bytes"] and learner.process.wait(10) == 0
        assert learner.left() == []
    weights = PersonalWeights.decode(content)
    learnt = weights.networks[NETWORK]
    assert weights.profile_id == profile.id and list(learnt.sentences) == event["sentences"]
    assert learnt.scores == event["scores"] and learnt.scores["steps"] >= 1 and NAMED in learnt.scores["rows"]
    moments = [candidate["time_share"] for candidate in learnt.scores["candidates"]]
    assert moments == [1.0, 0.0], "the last step, and the first one as it was then"
    assert learnt.sentences[0].startswith("Beside the one you named your voice gains ")
    assert learnt.reading_seconds == round(len(reading) / 16_000, 1) and learnt.against == 1
    for name in (f"{NETWORK}.int8", f"{NETWORK}.fp32"):
        model = Model.load(name)
        file = learnt.files[model.path.name]
        assert learnt.model_id == model.contract.model_id and file.base_sha256 == model.sha256
        model.with_weights(file.weights)
    _goes_on_from(content, profile, reading)


def _goes_on_from(content: bytes, profile: Profile, reading: Samples) -> None:
    network, _ = load_networks(NETWORK, len(profile.conditioning))
    request = Request(NETWORK, 1.0, profile.conditioning, profile.id, [reading], start=content)
    start = Learner(request, 0.0, few_others)._start(network)
    assert start is not None and not torch.equal(start.profile.weight, network.profile.weight)
    assert torch.allclose(start.profile.weight, network.profile.weight, atol=0.05)
    damaged = replace(request, start=content[:-100])
    with pytest.raises(LearnerError, match=r"^What was learnt earlier is damaged"):
        Learner(damaged, 0.0, few_others)._start(network)


def test_it_goes_with_its_parent_and_leaves_nothing(
    tmp_path: Path, profile: Profile, reading: Samples
) -> None:
    with started(tmp_path) as learner:
        learner.ask(profile, [reading])
        assert learner.next() == {"event": "started"}
        learner.input.close()
        assert learner.process.wait(5) == 3
        assert b"result" not in learner.output.read() and learner.left() == []


def test_killed_it_leaves_nothing(tmp_path: Path, profile: Profile, reading: Samples) -> None:
    with started(tmp_path) as learner:
        learner.ask(profile, [reading])
        assert learner.next() == {"event": "started"}
        learner.process.kill()
        learner.process.wait()
        assert learner.left() == []


def test_what_nothing_can_be_learnt_from_is_refused_in_a_sentence(
    tmp_path: Path, profile: Profile, reading: Samples
) -> None:
    with started(tmp_path) as learner:
        learner.ask(profile, [reading[: 5 * 16_000]])
        assert learner.next() == {"event": "started"}
        event = learner.next()
        while event["event"] == "progress":
            event = learner.next()
        assert event["event"] == "error" and learner.process.wait(10) == 1
        assert event["message"].endswith(
            "too little to learn from: read for ten seconds at least, better for a minute."
        )


def test_others_that_are_let_through_are_not_refused_later(reading: Samples) -> None:
    assert voice.LEAST_SPEECH_AGAINST_S >= SHORTEST_AGAINST_S
    for samples in (reading, 0 * reading, np.r_[reading[:50_000], np.zeros(90_000, np.float32)]):
        assert voice._loud_seconds(samples, voice.RATE_HZ) == speech_s(samples)


def test_recordings_and_others_are_looked_at(profile: Profile, reading: Samples) -> None:
    request = Request(NETWORK, 1.0, profile.conditioning, profile.id, [reading[:100_000], reading[100_000:]])
    check(request)
    with pytest.raises(
        LearnerError, match=r"^A recording of somebody else has [0-3] s of speech: give 4 or more"
    ):
        check(replace(request, against=[reading[:48_000]]))
    with pytest.raises(
        LearnerError, match=r"^The profile is of another network than pvqe-xs takes: enroll again\.$"
    ):
        load_networks(NETWORK, 128)
    with pytest.raises(
        LearnerError, match=r"^There is no network pvqe-m to go on learning: name one that ships\.$"
    ):
        load_networks("pvqe-m", 256)


def test_too_few_minutes_are_said_to_be_too_few(profile: Profile, reading: Samples) -> None:
    request = Request(NETWORK, 0.05, profile.conditioning, profile.id, [reading])
    with pytest.raises(LearnerError) as refused:
        Learner(request, time.monotonic(), few_others).run()
    said = re.fullmatch(
        r"0\.05 minutes are too few: without any learning it takes (\d+\.\d) here\.", str(refused.value)
    )
    assert said is not None and float(said[1]) > 0.05


def test_whoever_ends_it_waits_for_seconds_whatever_is_left(profile: Profile, reading: Samples) -> None:
    stopped = threading.Event()
    request = Request(NETWORK, MINUTES, profile.conditioning, profile.id, [reading])
    learner = Learner(request, time.monotonic(), few_others, stopped.is_set)
    assert 60 * MINUTES - 10 < learner._left_s() <= 60 * MINUTES
    stopped.set()
    left_s = learner._left_s()
    assert 20 < left_s <= 25 and learner._left_s() < left_s, "once only"
    assert learner.progress.minutes_left() <= 25 / 60


def test_on_a_machine_that_others_take_it_is_judged_by_fewer_scenes(
    profile: Profile, reading: Samples
) -> None:
    request = Request(NETWORK, MINUTES, profile.conditioning, profile.id, [reading])
    had_s, now = time.process_time(), time.monotonic()
    assert Learner(request, now - had_s / 2, few_others)._scenes_share() == 1
    starved = Learner(request, now - 100 * had_s, few_others)._scenes_share()
    assert starved == pytest.approx(0.01 * MINUTES / 4, rel=0.2)


def test_what_others_took_of_the_processor_is_made_up_for_until_there_is_time_to_learn(
    profile: Profile, reading: Samples
) -> None:
    request = Request(NETWORK, MINUTES, profile.conditioning, profile.id, [reading])
    had_s, now = time.process_time(), time.monotonic()
    alone = Learner(request, now - had_s, few_others)
    with pytest.raises(LearnerError, match="are too few: without any learning it takes"):
        alone._learning_s(60 * MINUTES)
    starved = Learner(request, now - 60 * MINUTES - 100 * had_s, few_others)
    assert starved._left_s() < 0 and starved._learning_s(20.0) == pytest.approx(0.4 * 60 * MINUTES, abs=2)
    assert starved._left_s() - 20 == pytest.approx(0.4 * 60 * MINUTES, abs=2), "the bar says so"


def test_ended_while_it_loads_it_keeps_the_general_weights_at_once(
    profile: Profile, reading: Samples
) -> None:
    request = Request(NETWORK, MINUTES, profile.conditioning, profile.id, [reading])
    result = Learner(request, time.monotonic(), few_others, lambda: True).run()
    assert result.sentences == ["The general weights are kept: it ended before anything was learnt."]
    assert result.weights == b""


def test_the_end_of_each_recording_is_held_out(reading: Samples) -> None:
    learnt, held = split(np.tile(reading, 4))
    assert len(held) == len(reading) and len(learnt) == 3 * len(reading)
    learnt, held = split(reading[: 8 * 16_000])
    assert len(held) == 2.5 * 16_000 and len(learnt) == 5.5 * 16_000


def test_numbers_of_a_network_are_as_many_as_it_has() -> None:
    network, _ = load_networks(NETWORK, 256)
    content = pack(network)
    same = unpack(network, content)
    assert all(
        torch.equal(x, y)
        for x, y in zip(same.state_dict().values(), network.state_dict().values(), strict=True)
    )
    infinite = np.frombuffer(content, "<f2").copy()
    infinite[7] = np.inf
    for damaged in (content[:-2], infinite.tobytes()):
        with pytest.raises(ValueError, match=r"^These are no numbers of pvqe-xs\.$"):
            unpack(network, damaged)

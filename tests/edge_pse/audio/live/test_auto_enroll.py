"""``run --auto-enroll`` without a terminal, from a simulated microphone."""

import stat

import numpy as np
import pytest

from edge_pse import ProfileStore
from edge_pse.audio.pcm import to_pcm
from edge_pse.voice_space import VoiceSpace

cosine = VoiceSpace().cosine  # of embeddings as they are


@pytest.fixture
def env(cards, tmp_path, recording):
    speech = np.concatenate([recording("ls367_enrollment"), recording("ls367_speech")])
    to_pcm(np.resize(speech, 60 * 16_000)).tofile(tmp_path / "mic.raw")
    return cards(
        tmp_path,
        mic=f'infile "{tmp_path}/mic.raw" rate 16000 channels 1',
        speaker=f'outfile "{tmp_path}/out.raw" rate 16000 channels 1',
    )


def test_who_talks_for_a_while_is_enrolled_and_then_kept(env, tmp_path, start_command, female_profile):
    run = ["run", "--input", "mic", "--output", "speaker", "--latency", "200", "--auto-enroll", "me"]
    command = start_command(*run, env=env)
    command.wait_for("Enrolled me from", 120)
    command.stop()
    store = ProfileStore(tmp_path / "edge-pse" / "profiles")
    profile = store.load("me")
    assert cosine(profile.embedding, female_profile.embedding) > 0.9
    assert profile.recordings[0].microphone == "mic"
    assert stat.S_IMODE((store.root / "me.profile.json").stat().st_mode) == 0o600
    left = {path.name: path.stat().st_size for path in (tmp_path / "edge-pse").rglob("*") if path.is_file()}
    assert set(left) == {"me.profile.json", ".lock"}
    assert left[".lock"] == 0


def test_a_name_that_is_taken_is_refused_at_once(env, tmp_path, start_command, female_profile):
    ProfileStore(tmp_path / "edge-pse" / "profiles").save(female_profile)
    command = start_command("run", "--input", "mic", "--output", "speaker", "--auto-enroll", "ls367", env=env)
    command.wait_for("add --profile ls367 to refine it")
    assert command.process.wait(20) == 1


def test_past_the_network_it_says_that_nobody_is_enrolled(env, start_command):
    run = [
        "run",
        "--input",
        "mic",
        "--output",
        "speaker",
        "--latency",
        "200",
        "--auto-enroll",
        "me",
        "--bypass",
    ]
    command = start_command(*run, env=env)
    command.wait_for("me is not enrolled while the sound passes as it is")
    command.stop()

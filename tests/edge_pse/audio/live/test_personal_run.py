"""``edge-pse run`` with a profile whose voice a network learns while it runs."""

import dataclasses

import numpy as np

from edge_pse import ProfileStore
from edge_pse.audio.pcm import to_pcm
from tests.edge_pse.learnt import weights_of, with_personal


def test_what_is_learnt_is_taken_up_unless_the_run_is_general(
    cards, tmp_path, recording, start_command, model, female_profile
):
    to_pcm(np.resize(recording("ls367_speech"), 60 * 16_000)).tofile(tmp_path / "mic.raw")
    env = cards(
        tmp_path,
        mic=f'infile "{tmp_path}/mic.raw" rate 16000 channels 1',
        one=f'outfile "{tmp_path}/one.raw" rate 16000 channels 1',
        two=f'outfile "{tmp_path}/two.raw" rate 16000 channels 1',
    )
    store = ProfileStore(tmp_path / "edge-pse" / "profiles")
    store.save(dataclasses.replace(female_profile, name="me"))
    run = ["run", "--input", "mic", "--latency", "200", "--profile", "me", "--output"]
    personal = start_command(*run, "one", env=env)
    general = start_command(*run, "two", "--general", env=env)
    for command in (personal, general):
        command.wait_for("Running")
    store.update("me", lambda known: with_personal(known, model, weights_of(model)))
    personal.wait_for("Profile me has new personal weights: they are used from here on.")
    store.update("me", lambda known: with_personal(known, model, b"1234"))
    personal.wait_for("Profile 'me' goes without its personal weights: ")
    personal.wait_for("Profile me goes on with general weights")
    personal.stop()
    general.stop()
    assert not [line for line in general.lines if "personal" in line]

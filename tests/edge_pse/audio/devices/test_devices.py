"""Which devices are listed, how they are named, and what is said of those that do not work."""

import numpy as np
import pytest


@pytest.fixture(scope="module")
def env(cards, tmp_path_factory, speech_pcm):
    directory = tmp_path_factory.mktemp("devices")
    speech_pcm.tofile(directory / "loud.raw")
    (speech_pcm // 50 + np.random.default_rng(0).integers(-40, 40, speech_pcm.size, np.int16)).tofile(
        directory / "faint.raw"
    )
    return cards(
        directory,
        desk=f'infile "{directory}/loud.raw" rate 16000 channels 1',
        corner=f'infile "{directory}/faint.raw" rate 48000 channels 2',
        speaker=f'outfile "{directory}/out.raw" rate 44100 channels 2',
    )


def finished(command, status=0):
    assert command.process.wait(30) == status, command.lines
    command.wait_for("", 5)
    return "\n".join(command.lines)


def test_devices_are_listed_with_what_they_open_as(start_command, env):
    listed = finished(start_command("devices", env=env)).splitlines()
    row = {line.split()[1]: line for line in listed if line.startswith(("in ", "out "))}
    assert set(row) == {"desk", "corner", "speaker"}
    assert row["desk"].endswith("16000 Hz, 1 channel")
    assert "48000 Hz, 2 channels, resampled" in row["corner"]
    assert "44100 Hz" in row["speaker"] and row["speaker"].endswith("resampled")


def test_listening_tells_which_microphone_hears_best(start_command, env):
    said = finished(start_command("devices", "--listen", env=env))
    assert "desk hears you best" in said


def test_any_alsa_pcm_can_be_named(start_command, env):
    run = start_command("run", "--input", "plug:corner", "--output", "speaker", "--latency", "200", env=env)
    run.wait_for("Running: plug:corner to speaker")
    assert run.stop()["restarts"] == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--input", "nowhere"), "There is no input device 'nowhere' now: `edge-pse devices` lists those"),
        (("--input", "e"), "'e' may be any of"),
        (("--input", "desk", "--output", "virtual"), "No sound server answers"),
        (("--input", "desk", "--on-demand"), "--on-demand needs --output virtual"),
        (
            ("--input", "desk", "--output", "speaker", "--record", "/nowhere/x.wav"),
            "Can't record to /nowhere/x",
        ),
    ],
)
def test_what_does_not_work_is_said_in_a_sentence(start_command, env, arguments, sentence):
    command = start_command("run", *arguments, env=env)
    assert command.process.wait(30) in (1, 2)
    command.wait_for(sentence, 5)
    assert not any("Traceback" in line for line in command.lines)

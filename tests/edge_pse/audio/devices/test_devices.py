"""Which devices are listed, how they are named, and what is said of those that do not work."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from edge_pse.audio.pcm import to_float
from edge_pse.spectral import RateChange
from tests.edge_pse.audio.running import aligned


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
    assert row["corner"].endswith("48000 Hz, 2 channels")
    assert row["speaker"].endswith("44100 Hz, 1 channel")


def test_listening_tells_which_microphone_hears_best(start_command, env):
    said = finished(start_command("devices", "--listen", env=env))
    assert "desk hears you best" in said


def test_any_alsa_pcm_can_be_named_and_none_is_made_to_convert(start_command, env, tmp_path):
    """What ALSA converts is hardly to be understood."""
    with_it = {**env, "EDGE_PSE_HOME": str(tmp_path)}
    options = ("--output", "plug:speaker", "--latency", "200", "--strength", "0")
    run = start_command("run", "--input", "plug:desk", *options, env=with_it)
    run.wait_for("Running: plug:desk to plug:speaker")
    time.sleep(2)
    assert run.stop()["restarts"] == 0
    directory = Path(env["EDGE_PSE_HOME"]).parent
    said, played = (np.fromfile(directory / f"{name}.raw", np.int16) for name in ("loud", "out"))
    expected = RateChange(16_000, 44_100).process(to_float(said[:16_000]))[441:]
    left = played[::2].astype(np.float32)
    assert np.corrcoef(expected, aligned(expected, left))[0, 1] > 0.99


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--input", "nowhere"), "There is no input device 'nowhere' now: `edge-pse devices` lists those"),
        (("--input", "\N{SUPERSCRIPT TWO}"), "There is no input device '\N{SUPERSCRIPT TWO}' now"),
        (
            ("--input", "corner", "--output", "speaker", "--channel", "3"),
            "There is no channel 3: there are 2 channels, counted from 1.",
        ),
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


def test_a_configuration_of_alsa_that_is_damaged_is_said_in_a_sentence(start_command, env, tmp_path):
    (tmp_path / "asoundrc").write_text("pcm.other {")
    damaged = {**env, "ALSA_CONFIG_PATH": f"{env['ALSA_CONFIG_PATH']}:{tmp_path}/asoundrc"}
    said = finished(start_command("devices", env=damaged), 1)
    assert "PortAudio does not start: a line of ALSA's configuration is wrong" in said
    assert "Traceback" not in said


def python(env, program, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        env=env, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


IN_DAYS = """
import shutil, sys
from pathlib import Path
from edge_pse.audio.devices import listing
from edge_pse.errors import AudioError

sd, configuration = listing.portaudio(), Path(sys.argv[1])
known = listing.resolve("input", "plug:desk"), listing.resolve("output", "plug:speaker")
of_pcm = lambda device: sd.query_devices(device.index)["name"]
aliases = [of_pcm(device) for device in known]
assert all(name.startswith("edge_pse_") for name in aliases), aliases

# A card comes between the microphone and the output, which are looked for again.
listing.rescan()
microphone = listing.resolve("input", "plug:desk")
before = configuration.read_text()
configuration.write_text('pcm.arrived { type plug slave.pcm "desk" hint.show on }\\n' + before)
output = listing.resolve("output", "plug:speaker")
assert [of_pcm(microphone), of_pcm(output)] == aliases
listing.rescan()
assert of_pcm(microphone) != aliases[0], "the card moves the numbers"

# Somebody writes a wrong line, and then a right one.
configuration.write_text("pcm.wrong {" + before)
for _ in range(2):
    try:
        listing.rescan()
        raise SystemExit("it starts")
    except AudioError as error:
        assert "a line of ALSA's configuration is wrong" in str(error)
configuration.write_text(before)
listing.rescan()

# Temporary files of some age are taken away.
shutil.rmtree(listing._configuration_directory())
listing.rescan()
microphone = listing.resolve("input", "plug:desk")
assert of_pcm(microphone) == aliases[0]
"""


def test_what_becomes_of_a_configuration_in_the_course_of_days_is_got_over(env, tmp_path):
    system, own = env["ALSA_CONFIG_PATH"].split(":")
    configuration = tmp_path / "asoundrc"
    configuration.write_text(Path(own).read_text())
    python({**env, "ALSA_CONFIG_PATH": f"{system}:{configuration}"}, IN_DAYS, configuration)


ENDS = """
from queue import SimpleQueue
from edge_pse.audio.devices import InputStream, find_format, resolve

microphone = resolve("input", "desk")
with InputStream(microphone, find_format(microphone), 0.1, SimpleQueue(), 100) as stream:
    latency_s = stream.latency_s
assert stream.latency_s == latency_s > 0
"""


def test_who_asks_a_stream_that_has_just_ended_gets_an_answer(env):
    """As the screen does, and other programs, while its devices close."""
    python(env, ENDS)

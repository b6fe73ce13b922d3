"""``with edge_pse.Live(...)``, as a program of a user has it, between simulated ALSA cards."""

import subprocess
import sys

import numpy as np
import pytest

import edge_pse
from tests.edge_pse.audio.running import share_found

PROGRAM = """
import os, time
import edge_pse

def in_use(card):
    links = (f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd"))
    return sum(os.path.exists(link) and os.readlink(link).endswith(card) for link in links)

enhancer = edge_pse.Enhancer(strength=0)
said, hops = [], []
live = edge_pse.Live(
    enhancer, input="mic", output="speaker", latency_ms=200, say=said.append, on_output=lambda *hop: hops.append(hop)
)
assert live.status() is None and not in_use("out.raw")
with live:
    assert in_use("out.raw")
    live.wait(4)
    status = live.status()
    assert (status.input, status.output, status.overloaded) == ("mic", "speaker", False)
    assert live.counters.hops > 300 and live.counters.hops - len(hops) in (0, 1)
    live.bypass, enhancer.strength = True, 1.0
    live.wait(0.2)
assert {(hop.shape, rate_hz) for hop, rate_hz in hops} == {((160,), 16_000)}
assert said[0] == "Running: mic to speaker.", said
hops_then = live.counters.hops
assert live.status() is None and not in_use("out.raw"), "the devices are closed"
time.sleep(0.3)
assert live.counters.hops == hops_then

for devices in ({"input": "unplugged", "output": "other"}, {"input": "mic", "output": "nowhere"}):
    try:
        with edge_pse.Live(enhancer, **devices):
            raise SystemExit("entered")
    except edge_pse.AudioError as error:
        print(error)
assert not in_use("other.raw")

def fail(hop, rate_hz):
    raise RuntimeError("of the user")

try:
    with edge_pse.Live(enhancer, input="mic", output="other", latency_ms=200, on_output=fail) as live:
        live.wait(5)
        raise SystemExit("it went on")
except RuntimeError as error:
    print(error)
assert not in_use("other.raw")
"""


@pytest.fixture(scope="module")
def ran(cards, tmp_path_factory, speech_pcm):
    """What the program printed, and where its cards have their files."""
    directory = tmp_path_factory.mktemp("live")
    speech_pcm[: 3 * 16_000].tofile(directory / "mic.raw")
    (directory / "fault").write_text("unplug")
    env = cards(
        directory,
        mic=f'infile "{directory}/mic.raw" rate 16000 channels 1',
        speaker=f'outfile "{directory}/out.raw" rate 16000 channels 1',
        other=f'outfile "{directory}/other.raw" rate 16000 channels 1',
        unplugged=f'infile "{directory}/mic.raw" rate 16000 channels 1 fault "{directory}/fault"',
    )
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=env, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines(), directory


def test_sound_goes_through_while_the_block_runs_and_the_devices_are_closed_after_it(ran, speech_pcm):
    _, directory = ran
    played = np.fromfile(directory / "out.raw", np.int16)
    assert share_found(speech_pcm[: 3 * 16_000], played) > 0.9


def test_a_device_that_does_not_open_is_an_error_at_the_entry_and_a_failure_later_one_at_the_wait(ran):
    said, _ = ran
    assert said[0].startswith("There is no input device 'unplugged' now")
    assert said[1].startswith("There is no output device 'nowhere' now")
    assert said[2] == "of the user"


@pytest.mark.parametrize(
    ("wrong", "error", "sentence"),
    [
        ({"on_demand": True}, edge_pse.AudioError, "On demand the output must be 'virtual'"),
        ({"channel": 0}, edge_pse.AudioError, "counted from 1"),
        ({"loopback": "auto"}, edge_pse.ModelError, "cancels no echo"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_is_opened(model, wrong, error, sentence):
    with pytest.raises(error, match=sentence):
        edge_pse.Live(edge_pse.Enhancer(model), **wrong)

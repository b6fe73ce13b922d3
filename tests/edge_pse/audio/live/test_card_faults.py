"""Cards that vanish, stand still or have a wrong clock, and ``edge-pse run`` that gets over it."""

import contextlib
import time

import numpy as np
import pytest

from tests.edge_pse.audio.running import places_found

RETURN_SECONDS = 3
CLOCKS_HZ = {"fast": 16_160, "slow": 15_840}
"""Of microphones; the outputs keep to 16 kHz."""


@pytest.fixture(scope="module")
def directory(tmp_path_factory, speech_pcm):
    directory = tmp_path_factory.mktemp("cards")
    np.tile(speech_pcm, 10).tofile(directory / "mic.raw")
    return directory


@pytest.fixture(scope="module")
def env(cards, directory):
    mic, out = f'infile "{directory}/mic.raw" rate 16000 channels 1', f'outfile "{directory}'
    return cards(
        directory,
        mic=f'{mic} fault "{directory}/mic.fault"',
        speaker=f'{out}/out.raw" rate 16000 channels 1 fault "{directory}/speaker.fault"',
        usb_input=f'{mic} fault "{directory}/usb_input.fault"',
        usb_output=f'{out}/usb.raw" rate 16000 channels 1 fault "{directory}/usb_output.fault"',
        onboard_input=mic,
        onboard_output=f'{out}/onboard.raw" rate 16000 channels 1',
        # What crystals lose in some hours is lost in seconds here.
        fast_mic=f"{mic} clock {CLOCKS_HZ['fast']}",
        slow_mic=f"{mic} clock {CLOCKS_HZ['slow']}",
        fast_out=f'{out}/fast.raw" rate 16000 channels 1',
        slow_out=f'{out}/slow.raw" rate 16000 channels 1',
    )


def start(start_command, env, microphone="mic", speaker="speaker"):
    arguments = ("--input", microphone, "--output", speaker, "--strength", "0", "--latency", "150")
    run = start_command("run", *arguments, env=env)
    run.wait_for(f"Running: {microphone} to {speaker}")
    return run


@pytest.fixture(scope="module")
def drifting(start_command, env):
    """Runs between clocks that differ by a hundredth, started early because drift takes its time."""
    began = time.monotonic()
    return began, [start(start_command, env, f"{pace}_mic", f"{pace}_out") for pace in ("fast", "slow")]


def test_a_card_that_stands_still_is_waited_for(start_command, env, directory, drifting):
    run = start(start_command, env)
    for card in ("mic", "speaker"):
        time.sleep(0.7)
        (directory / f"{card}.fault").write_text("stall")
        run.wait_for("No samples go", 5)
        time.sleep(0.7)
        (directory / f"{card}.fault").unlink()
        back = time.monotonic()
        assert run.wait_for("Running again") - back < RETURN_SECONDS
    assert run.stop()["restarts"] >= 2


def test_unplugged_cards_are_used_again_once_they_are_back(start_command, env, directory):
    runs = {
        "usb_input": start(start_command, env, "usb_input", "onboard_output"),
        "usb_output": start(start_command, env, "onboard_input", "usb_output"),
    }
    processes = {run.process.pid for run in runs.values()}
    time.sleep(0.7)
    for card, run in runs.items():
        (directory / f"{card}.fault").write_text("unplug")
        run.wait_for("Waiting for it", 5)
    # With the output PortAudio hangs as a rule, and the program begins again in its place.
    with contextlib.suppress(AssertionError):
        runs["usb_output"].wait_for("Waiting for it", 8)
    for card, run in runs.items():
        (directory / f"{card}.fault").unlink()
        back = time.monotonic()
        assert run.wait_for("Running again") - back < RETURN_SECONDS, run.lines
    for run in runs.values():
        run.stop()
        assert len(run.lines) < 12, "what PortAudio writes by the hundred thousand must not be seen"
    assert {run.process.pid for run in runs.values()} == processes


def test_clocks_that_drift_apart_cost_single_hops_and_no_delay(directory, speech_pcm, drifting):
    began, runs = drifting
    time.sleep(max(0.0, began + 19 - time.monotonic()))
    said = np.tile(speech_pcm, 10)[:288_000]
    for run, pace in zip(runs, ("fast", "slow"), strict=True):
        assert run.stop()["samples"] == 0
        places = places_found(said, np.fromfile(directory / f"{pace}.raw", np.int16))
        heard, played = places[places[:, 1] >= 0].T
        assert len(heard) > 0.75 * len(places)
        # When a sample was played, by the clock of the output, after it was heard, by that of the microphone.
        delay_s = played / 16_000 - heard / CLOCKS_HZ[pace]
        settled = heard > 48_000
        # The delay is looked at every 2 s, in which it drifts by 20 ms; a pause of this machine can hide that once.
        # To these 40 ms come 22 between the least and the most that may wait, and a block of the device.
        assert np.ptp(delay_s[settled]) < 0.08, "it would have grown or shrunk by 0.15 s, or run dry"

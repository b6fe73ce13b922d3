"""``edge-pse run --loopback``: the far end at a private PulseAudio and from a card, its faults, and what it is for."""

import signal
import threading
import time

import numpy as np
import pytest

from edge_pse.audio.devices.virtual_mic import SOURCE
from edge_pse.audio.pcm import to_pcm
from edge_pse.errors import ModelError
from edge_pse.model import DEFAULT_MODEL, Model, far_end_variant
from tests.edge_pse.audio.rooms import FAR_VOICES, RATE_HZ, LiveRoom, delayed, room_response, voices
from tests.edge_pse.audio.running import again_if_busy
from tests.edge_pse.audio.terminal import Terminal
from tests.edge_pse.graphs import adaptive_filter_model, far_end_model

LATENCY = ("--latency", "60")
CARDS = ("--input", "mic", "--output", "speaker", "--loopback", "played", "--latency", "100")
CONVERGED_S = 14
"""Two seconds to find the delay, the rest for a filter that adapts."""
MEASURED_S = 5
CARD_BUFFER_S = 0.15
"""A monitor repeats at once what a card has yet to play; a null sink has no such buffer."""


@pytest.fixture(scope="module")
def far(recording):
    """Half a minute of other people in a call."""
    return voices(recording, FAR_VOICES, 30)


@pytest.fixture(scope="module")
def echo(far):
    """What a microphone in a room hears of them; leaves room for what is added."""
    return 0.5 * np.convolve(far, room_response(0.2))[: far.size].astype(np.float32)


def erle_db(microphone, enhanced):
    """Echo return loss enhancement: how much of the echo is gone."""
    power = [np.mean(samples.astype(np.float64) ** 2) for samples in (microphone, enhanced)]
    return 10 * np.log10(power[0] / max(power[1], 1e-9))


def records(server, seconds, *sources):
    """What is heard from several sources at the same time."""
    heard = {}

    def record(source):
        heard[source] = server.record(source, seconds)

    threads = [threading.Thread(target=record, args=(source,)) for source in sources]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [heard[source] for source in sources]


def in_time(run):
    """End the run -> its numbers, those of a machine that kept up with the sound."""
    numbers = run.stop()
    if numbers["overloads"]:
        pytest.skip("this machine was too busy to run the network in real time")
    assert numbers["restarts"] == 0, "\n".join(run.lines)
    return numbers


def cancels(sound_server, start_command, far, least_db, *arguments):
    """Run with the monitor of the default output as far end, while that plays into a room: is the echo gone?"""
    run = start_command(
        "run", "--input", "desk", "--output", "virtual", "--loopback", "auto", *LATENCY, *arguments,
        env=sound_server.env,
    )  # fmt: skip
    run.wait_for("Listening to")
    of_a_card = np.zeros(round(CARD_BUFFER_S * RATE_HZ), np.float32)
    response = np.concatenate([of_a_card, 0.5 * room_response(0.2)])

    def listen():
        with LiveRoom(sound_server, "other", response):
            player = sound_server.play(to_pcm(far), "other")
            time.sleep(CONVERGED_S)
            microphone, enhanced = records(sound_server, MEASURED_S, "desk", SOURCE)
            player.kill()
        assert np.std(microphone.astype(float)) > 300, "there was no echo"
        assert erle_db(microphone, enhanced) > least_db, "\n".join(run.lines)

    try:
        again_if_busy(listen)  # a pause moves the far end against its echo
    except AssertionError:
        in_time(run)
        raise


@pytest.fixture(scope="module")
def cards_with_echo(cards, far, echo):
    """``cards_with_echo(directory)`` -> an environment with cards of which one repeats what the other hears."""

    def make(directory):
        np.tile(to_pcm(delayed(echo, 1.0)), 4).tofile(directory / "mic.raw")
        np.tile(to_pcm(delayed(far, 0.5)), 4).tofile(directory / "played.raw")
        rate = "rate 16000 channels 1"
        return cards(
            directory,
            mic=f'infile "{directory}/mic.raw" {rate}',
            played=f'infile "{directory}/played.raw" {rate} fault "{directory}/fault"',
            speaker=f'outfile "{directory}/out.raw" {rate}',
        )

    return make


@pytest.fixture(scope="module")
def card_run(cards_with_echo, start_command, tmp_path_factory):
    """A run that adapts to the echo between cards while another test does the same at a sound server."""
    directory = tmp_path_factory.mktemp("card")
    model = adaptive_filter_model(directory / "adaptive.onnx", step=0.3)
    unlisted = [f"plug:{word}" if word in ("mic", "played") else word for word in CARDS]
    run = start_command("run", *unlisted, "--model", str(model), env=cards_with_echo(directory))
    return run, directory, time.monotonic()


def test_the_far_end_arrives_in_time_for_a_classical_canceller(
    sound_server, start_command, far, tmp_path, card_run
):
    """One that makes the echo louder unless the far end is 0 to 0.2 s ahead of it, and keeps in step."""
    model = adaptive_filter_model(tmp_path / "adaptive.onnx", step=0.3)
    cancels(sound_server, start_command, far, 5, "--model", str(model))


def test_the_network_cancels_the_echo(sound_server, start_command, far):
    variant = far_end_variant(DEFAULT_MODEL)
    try:
        Model.load(variant)
    except ModelError:
        pytest.skip(f"no weights of {variant} have come with this version yet")
    cancels(sound_server, start_command, far, 20)


@pytest.fixture
def passing(tmp_path):
    """A model that gives out the far end instead of the microphone, both to be told apart."""
    return str(far_end_model(tmp_path / "passing.onnx", 0, 1))


def test_the_far_end_may_vanish_and_change_while_the_microphone_goes_on(
    sound_server, start_command, passing, far
):
    run = start_command(
        "run", "--input", "desk", "--output", "virtual", "--loopback", "auto", "--model", passing, *LATENCY,
        env=sound_server.env,
    )  # fmt: skip
    run.wait_for("Listening to Monitor of Null Output")
    sound_server.pactl("suspend-sink", "other", "1")
    run.wait_for("No samples come from Monitor of Null Output: it is suspended or gone. Echo stays until", 6)
    sound_server.pactl("suspend-sink", "other", "0")
    run.wait_for("Listening to", 8)
    sound_server.pactl("set-default-sink", "ears")
    run.wait_for("another default output now", 5)
    run.wait_for("Listening to", 8)
    player = sound_server.play(to_pcm(far), "ears")
    recorded = sound_server.record(SOURCE, 4)
    player.kill()
    assert np.abs(recorded[-RATE_HZ:].astype(int)).max() > 1_000, "the new output is heard"
    in_time(run)


def test_a_far_end_that_is_gone_is_not_replaced_by_a_microphone(sound_server, start_command, passing, far):
    speaker = ("module-null-sink", "sink_name=speaker", "rate=48000", "channels=2")
    module = sound_server.pactl("load-module", *speaker)
    sound_server.pactl("set-default-source", "desk")
    run = start_command(
        "run", "--output", "virtual", "--loopback", "speaker.monitor", "--model", passing, *LATENCY,
        env=sound_server.env,
    )  # fmt: skip
    run.wait_for("Listening to")
    sound_server.pactl("unload-module", module)
    run.wait_for("Echo stays until there is a far end again", 6)
    player = sound_server.play(to_pcm(far), "room")
    recorded = sound_server.record(SOURCE, 3)
    player.kill()
    assert not recorded[-RATE_HZ:].any(), "what the microphone hears must not come back as far end"
    sound_server.pactl("load-module", *speaker)
    run.wait_for("Listening to", 8)
    in_time(run)


def test_what_can_be_no_far_end_is_said_once_and_the_rest_goes_on(sound_server, start_command, passing):
    sentences = {
        "nowhere": "There is no input device 'nowhere' now",
        "edge_pse.monitor": "The virtual microphone can't be its own far end",
        "desk": "is the microphone already: name another far end",
        "pulse": "The default source is a microphone",
        "ears": "repeats your own voice, which is played there",
    }
    arguments = ("--input", "desk", "--output", "virtual", "--model", passing, *LATENCY)
    more = {"ears": ("--output", "ears")}

    def start(loopback):
        return start_command(
            "run", *arguments, "--loopback", loopback, *more.get(loopback, ()), env=sound_server.env
        )

    first, *others = sentences
    runs = {first: start(first)}
    runs[first].wait_for(sentences[first], 30)  # it has made the virtual microphone, which all share
    runs |= {loopback: start(loopback) for loopback in others}
    for loopback in others:
        runs[loopback].wait_for(sentences[loopback], 30)
    for run in runs.values():
        run.wait_for("Running", 10)
    sound_server.pactl("set-default-sink", "edge_pse")
    runs["auto"] = start_command("run", *arguments, "--loopback", "auto", env=sound_server.env)
    runs["auto"].wait_for(sentences["edge_pse.monitor"], 20)
    runs["auto"].wait_for("Running", 10)
    time.sleep(1.2)
    for run in runs.values():
        assert sum("Echo stays" in line for line in run.lines) == 1, run.lines
        assert run.stop()["restarts"] == 0


@pytest.fixture
def cards_env(cards_with_echo, tmp_path):
    return cards_with_echo(tmp_path)


def test_a_card_may_be_the_far_end(card_run):
    run, directory, began = card_run
    run.wait_for("Listening to plug:played")
    time.sleep(max(0.0, began + CONVERGED_S - time.monotonic()))
    numbers = in_time(run)
    out = np.fromfile(directory / "out.raw", np.int16)
    end = min(out.size, round(numbers["hops"]) * 160)
    heard = np.fromfile(directory / "mic.raw", np.int16)[end - 5 * RATE_HZ : end]
    assert erle_db(heard, out[end - 5 * RATE_HZ : end]) > 5


def test_a_card_that_stands_still_is_waited_for(start_command, cards_env, passing, tmp_path):
    run = start_command("run", *CARDS, "--model", passing, env=cards_env)
    run.wait_for("Listening to played")
    time.sleep(1)
    (tmp_path / "fault").write_text("stall")
    run.wait_for("No samples come from played", 8)
    (tmp_path / "fault").unlink()
    run.wait_for("Listening to played", 8)
    in_time(run)


def test_a_program_that_was_held_up_does_not_blame_the_cards(start_command, cards_env, passing):
    run = start_command("run", *CARDS, "--model", passing, env=cards_env)
    run.wait_for("Listening to played")
    time.sleep(4)  # by then its pace is measured
    run.process.send_signal(signal.SIGSTOP)
    time.sleep(3.5)
    run.process.send_signal(signal.SIGCONT)
    run.wait_for("This program was held up for 3.")
    time.sleep(7)
    assert run.stop()["restarts"] == 0
    for device, ratio in run.clock_ratios().items():
        assert ratio == pytest.approx(1, abs=0.05), device
    assert not any("Echo stays" in line for line in run.lines), run.lines


def test_an_unplugged_card_does_not_take_the_microphone_along(start_command, cards_env, passing, tmp_path):
    run = start_command("run", *CARDS, "--model", passing, env=cards_env)
    run.wait_for("Listening to played")
    time.sleep(0.7)
    (tmp_path / "fault").write_text("unplug")
    run.wait_for("Echo stays until there is a far end again", 12)
    (tmp_path / "fault").unlink()
    run.wait_for("Listening to played", 15)
    assert run.stop()["hops"] > 50


def test_the_screen_shows_the_far_end_and_the_delay_of_its_echo(cards_env, passing):
    terminal = Terminal("run", *CARDS, "--model", passing, env=cards_env)
    try:
        terminal.wait_for("far end")
        terminal.wait_for("far end held back", 20)
        terminal.type("q")
        assert terminal.process.wait(20) == 0
    finally:
        terminal.process.kill()


def test_without_a_model_for_it_echo_stays_and_the_rest_goes_on(start_command, cards_env, model):
    run = start_command("run", *CARDS, "--model", str(model.path), env=cards_env)
    run.wait_for("Echo stays, because pvqe-s.int8.tflite can't cancel it: choose --model pvqe-s-far.")
    run.wait_for("Running: mic to speaker", 10)
    assert run.stop()["restarts"] == 0
    assert not any("Listening" in line for line in run.lines)

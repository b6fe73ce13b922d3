"""``edge-pse run`` that does not get to run for a while: what is missing is counted, and all goes on as before."""

import re
import signal
import subprocess
import time

import numpy as np

from edge_pse.audio.pcm import FULL_SCALE
from tests.edge_pse.audio.running import Pauses, share_found
from tests.edge_pse.audio.terminal import Terminal

SHORTLY_S, LONG_S = 0.45, 2.5
"""With a backlog that is played later, and with one that is too old for that."""
SOON_S = 1
SHOWN_S = 4
"""After so long the delay on the screen is that of now: the mean of two seconds."""
GIVEN_BACK_S = 24
"""A hop of reserve is given back after ten seconds without an underrun, and a busy machine may have taken two.

Whenever this machine pauses meanwhile it may take one again, and the time begins anew."""
MOST_S = 90
NOISE = 1.5
"""No sample, and no step between two of them, may be so much larger than the largest that was said."""


def starve(*arguments, env, heard, pauses_s):
    """Run, stop for a while, go on -> what ``heard()`` gave a second after the last time, and the numbers at the end.

    Each time the delay must be given back.
    """
    terminal = Terminal("run", *arguments, env={**env, "COLUMNS": "160"})
    try:
        terminal.wait_for("Running: ")
        before_ms = delay_ms(terminal, 5)
        for pause_s in pauses_s:
            terminal.process.send_signal(signal.SIGSTOP)
            time.sleep(pause_s)
            terminal.process.send_signal(signal.SIGCONT)
            terminal.watch(SOON_S)
            soon = heard()
            terminal.watch(SHOWN_S - SOON_S)
            resumed = time.monotonic()
            with Pauses() as pauses:
                while (after_ms := delay_ms(terminal, 1)) > before_ms + 25:
                    until = min(max(resumed, pauses.last) + GIVEN_BACK_S, resumed + MOST_S)
                    assert time.monotonic() < until, (before_ms, after_ms)
        terminal.wait_for("was held up for 2.")
        terminal.process.send_signal(signal.SIGINT)
        terminal.wait_for(" restarts.")
        last = terminal.seen[terminal.seen.rindex("Stopped after") :]
        return soon, {name: int(value) for value, name in re.findall(r"(\d+) ([a-z]+)", last)}
    finally:
        terminal.process.kill()


def delay_ms(terminal, seconds):
    """What is shown after some time."""
    return int(re.findall(r"delay +(\d+) ms", terminal.watch(seconds))[-1])


def is_no_noise(out, said):
    out, said = out.astype(int), said.astype(int)
    assert np.abs(out).max() <= NOISE * np.abs(said).max()
    assert np.abs(np.diff(out)).max() <= NOISE * np.abs(np.diff(said)).max()


def test_between_cards(cards, tmp_path, speech_pcm):
    said = np.tile(speech_pcm, 8)
    said.tofile(tmp_path / "mic.raw")
    env = cards(
        tmp_path,
        mic=f'infile "{tmp_path}/mic.raw" rate 16000 channels 1',
        speaker=f'outfile "{tmp_path}/out.raw" rate 16000 channels 1',
    )

    def played():
        return np.fromfile(tmp_path / "out.raw", np.int16)

    options = ("--input", "mic", "--output", "speaker", "--latency", "100", "--strength", "0")
    soon, numbers = starve(*options, env=env, heard=played, pauses_s=[LONG_S])
    assert numbers["restarts"] == 0
    assert numbers["underruns"] >= 1 and numbers["overruns"] >= 1
    is_no_noise(played(), said)
    assert np.abs(soon[-4_000:]).max() > 0.01 * FULL_SCALE, "sound is back soon"
    assert share_found(said[2 * 16_000 : 6 * 16_000], played()) > 0.7
    assert share_found(played()[soon.size : -16_000], said) > 0.9, "all that is played was said"


def test_at_a_sound_server_the_backlog_is_dropped(sound_server, tmp_path, speech_pcm):
    """With the network, which is passed by for a while."""
    said = np.tile(speech_pcm, 8)
    raw = ["parec", "--raw", "--format=s16le", "--rate=16000", "--channels=1", "--latency-msec=50"]
    with (tmp_path / "heard.raw").open("wb") as file:
        listener = subprocess.Popen([*raw, "-d", "ears.monitor"], env=sound_server.env, stdout=file)
        player = sound_server.play(said)

        def heard():
            return np.fromfile(tmp_path / "heard.raw", np.int16)

        options = ("--input", "desk", "--output", "ears", "--latency", "100")
        soon, numbers = starve(*options, env=sound_server.env, heard=heard, pauses_s=[SHORTLY_S, LONG_S])
        for process in (listener, player):
            process.kill()
            process.wait()
    assert numbers["restarts"] == 0
    assert numbers["underruns"] >= 1 and numbers["samples"] > 0
    is_no_noise(heard(), said)
    assert np.abs(soon[-8_000:]).max() > 0.01 * FULL_SCALE

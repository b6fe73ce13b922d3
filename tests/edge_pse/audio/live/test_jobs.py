"""``edge-pse`` as a job of a shell: in the background, stopped, and in the foreground again."""

import numpy as np
import pytest
import soundfile

from tests.edge_pse.audio.terminal import Shell

RUN = "run --input mic --output speaker --latency 200"


@pytest.fixture
def shell(cards, tmp_path, speech_pcm):
    speech_pcm.tofile(tmp_path / "mic.raw")
    env = cards(
        tmp_path,
        mic=f'infile "{tmp_path}/mic.raw" rate 16000 channels 1',
        speaker=f'outfile "{tmp_path}/out.raw" rate 16000 channels 1',
    )
    shell = Shell(env, tmp_path)
    yield shell
    shell.close()


def test_a_job_in_the_background_runs_and_leaves_the_terminal_alone(shell):
    shell.line(f"edge-pse {RUN} &")
    shell.wait_for("Running: mic to speaker")
    shell.line("jobs")
    shell.wait_for("[1]+")
    shown = shell.seen + shell.watch(1)
    assert "Running  " in shown and "Stopped" not in shown
    shell.line("echo ke''ys")  # which the program must not take
    shell.wait_for("keys")
    assert "dBFS" not in shell.watch(0.6)
    assert shell.is_in_order()

    shell.line("fg")
    shell.wait_for("keeps every voice")
    shell.type("b")
    shell.wait_for("bypassed", 3)

    shell.type("\x1a")
    shell.wait_for("Stopped")
    assert "\x1b[?25h" in shell.seen, "the cursor is shown again"
    assert shell.is_in_order()

    shell.line("bg")
    shell.wait_for("edge-pse")
    shown = shell.watch(1)
    assert "dBFS" not in shown and "Stopped" not in shown
    assert shell.is_in_order()
    shell.line("jobs")
    shell.wait_for("Running  ")

    shell.line("fg")
    shell.wait_for("bypassed")
    shell.type("q")
    shell.wait_for("Stopped after")
    assert shell.is_in_order()


def test_stopped_in_the_foreground_and_ended_in_the_background_it_leaves_all_as_it_was(shell):
    shell.line(f"stty tostop; edge-pse {RUN}")
    shell.wait_for("keeps every voice")
    shell.type("\x1a")
    shell.wait_for("Stopped")
    shell.line("bg")
    shell.wait_for("edge-pse")
    shell.line("kill %1; wait; echo ga''ve $?")
    shell.wait_for("gave")
    assert "Stopped" not in shell.seen
    assert shell.is_in_order()


def test_a_progress_bar_leaves_the_terminal_in_order_too(shell, tmp_path, speech_pcm):
    soundfile.write(tmp_path / "long.wav", np.tile(speech_pcm, 120), 16_000)
    shell.line(f"stty tostop; edge-pse enhance {tmp_path}/long.wav -o {tmp_path}/out.wav")
    shell.wait_for("━")
    shell.type("\x1a")
    shell.wait_for("Stopped")
    assert "\x1b[?25h" in shell.seen, "the cursor is shown again"
    shell.line("bg")
    shell.wait_for("edge-pse")
    shown = shell.watch(1)
    assert "━" not in shown and "Stopped" not in shown
    shell.line("fg")
    shell.wait_for("━")
    shell.type("\x03")
    shell.wait_for("prompt")
    assert shell.is_in_order()

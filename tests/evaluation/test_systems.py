"""What is scored, and how each of it fails: with a reason."""

import os
import signal
import sys

import numpy as np
import pytest

from edge_pse import enroll
from edge_pse.errors import EnrollmentError
from evaluation.metrics.upper_band import above
from evaluation.peers import PEERS
from evaluation.sets import FULL_BAND_TALKERS
from evaluation.sets.render import render
from evaluation.systems import process
from evaluation.systems.model import ModelSystem
from evaluation.systems.process import SystemProcess
from evaluation.systems.running import RunningSystem
from evaluation.systems.spec import SystemFailure, SystemSpec


@pytest.fixture(scope="module")
def clip(few_scenes, data):
    return render(few_scenes[0], data)


@pytest.fixture
def run():
    """``run(kind, argument)`` -> a running system, ended after the test."""
    opened = []

    def open_system(kind, argument=""):
        opened.append(RunningSystem(SystemSpec(kind, argument)))
        return opened[-1]

    yield open_system
    for system in opened:
        system.close()


def _python(code):
    """A command template that runs Python code on its file names."""
    return f'"{sys.executable}" -c "{code}" {{noisy}} {{out}}'


def test_a_model_runs_through_the_device_library_in_its_own_process(run, clip):
    system = run("model", "pvqe-s")
    assert system.info.uses_profile and system.info.streams and system.info.size_bytes > 1e6
    assert system.measure_delay([clip.reference]) == 0.0
    right, wrong = system.enhance(clip, "right", 0.0), system.enhance(clip, "wrong", 0.0)
    assert right.dtype == np.float32 and len(right) == len(clip.mixture)
    assert not np.array_equal(right, wrong)
    assert np.array_equal(right, system.enhance(clip, "right", 0.0))


def test_enrollments_that_are_refused_to_users_are_tested_all_the_same(model, recording):
    voice, noisy = recording("ls1688_enrollment")[:16_000], recording("ls1688_speech")
    with pytest.raises(EnrollmentError):
        enroll(voice, 16_000, model=model)
    system = ModelSystem("pvqe-s")
    with_profile = system.enhance(noisy, voice, None)
    assert not np.array_equal(with_profile, system.enhance(noisy, None, None))


def test_a_model_that_does_not_exist_is_a_reason():
    with pytest.raises(SystemFailure, match="no-such-model"):
        SystemProcess(SystemSpec("model", "no-such-model"))


def test_memory_is_that_of_the_process_alone(clip):
    ballast = np.ones(60_000_000)  # 480 MB in the process that starts it
    process_of_model = SystemProcess(SystemSpec("model", "pvqe-s"))
    output = process_of_model.enhance(clip.mixture, None, None)
    process_of_model.close()
    assert ballast.any() and 30.0 < output.peak_rss_mb < 400.0


def test_a_process_that_is_killed_is_a_reason_and_the_next_clip_runs(run, clip):
    system = run("model", "pvqe-s")
    os.kill(system._engine._process.pid, signal.SIGKILL)
    system._engine._process.wait()
    assert len(system.enhance(clip, "none", 0.0)) == len(clip.mixture)

    dead = SystemProcess(SystemSpec("model", "pvqe-s"))
    os.kill(dead._process.pid, signal.SIGKILL)
    with pytest.raises(SystemFailure, match="SIGKILL"):
        dead.enhance(clip.mixture, None, None)
    dead.close()


def test_a_peer_that_is_not_installed_is_a_reason(monkeypatch):
    monkeypatch.setenv(process.PEERS_PYTHON_VARIABLE, sys.executable)
    with pytest.raises(SystemFailure, match="voxlock"):
        SystemProcess(SystemSpec("peer", "voxlock"))


def test_a_missing_interpreter_for_peers_is_a_reason(monkeypatch, tmp_path):
    monkeypatch.setenv(process.PEERS_PYTHON_VARIABLE, str(tmp_path / "python"))
    with pytest.raises(SystemFailure, match="cannot start"):
        SystemProcess(SystemSpec("peer", "rnnoise"))


@pytest.fixture(scope="module")
def full_band_clip(full_band_scenes, data):
    return render(full_band_scenes[FULL_BAND_TALKERS][0], data)


@pytest.mark.parametrize(("band", "above_8_khz"), [("full", True), ("8", False)])
def test_a_model_keeps_the_band_or_what_is_below_8_khz(full_band_clip, band, above_8_khz):
    spec = SystemSpec("model", "pvqe-s", full_band=band == "full")
    system = RunningSystem(spec)
    assert spec.name == ("pvqe-s" if above_8_khz else "pvqe-s --band 8")
    delay = system.measure_delay([full_band_clip.reference], 48_000)
    output = system.enhance(full_band_clip, "right", delay)
    system.close()
    assert delay == 0.0 and len(output) == len(full_band_clip.mixture)
    upper = above(output, 48_000)
    assert (np.linalg.norm(upper) > 1e-3 * np.linalg.norm(output)) == above_8_khz


def test_a_command_hears_a_full_band_clip_at_its_rate(run, full_band_clip):
    assert np.array_equal(
        run("command", "cp {noisy} {out}").enhance(full_band_clip, "none", 0.0), full_band_clip.mixture
    )
    code = "import sys, soundfile; sys.exit(str(soundfile.info(sys.argv[1]).samplerate))"
    with pytest.raises(SystemFailure, match="48000"):
        run("command", _python(code)).enhance(full_band_clip, "none", 0.0)


@pytest.mark.parametrize("name", ["rnnoise", "deepfilternet3", "webrtc-ns"])
def test_installed_full_band_peers_take_and_give_48_khz(run, name, full_band_clip):
    try:
        system = run("peer", name)
    except SystemFailure as reason:
        pytest.skip(f"{name}: {reason} (make peers installs them)")
    assert system.info.full_band
    delay = system.measure_delay([full_band_clip.reference], 48_000)
    assert 0.0 <= delay < 3000.0
    output = system.enhance(full_band_clip, "none", delay)
    assert len(output) == len(full_band_clip.mixture) and above(output, 48_000).any()


@pytest.mark.parametrize("name", [name for name in PEERS if name != "voxlock"])
def test_installed_peers_return_speech_with_a_constant_delay(run, name, recording):
    speech = recording("ls367_speech")
    try:
        system = run("peer", name)
    except SystemFailure as reason:
        pytest.skip(f"{name}: {reason} (make peers installs them)")
    delay = system.measure_delay([speech])
    assert 0.0 <= delay < 1000.0
    assert system.measure_delay([0.3 * speech]) == pytest.approx(delay, abs=2.0)


def test_the_bounds_need_no_process(run, clip, few_scenes, data):
    assert np.array_equal(run("input").enhance(clip, "none", 0.0), clip.mixture)
    assert np.array_equal(run("reference").enhance(clip, "none", 0.0), clip.reference)
    others = next(scene for scene in few_scenes if scene.set == "interferer-only")
    assert not run("reference").enhance(render(others, data), "none", 0.0).any()


def test_a_command_reads_and_writes_files(run, clip):
    system = run("command", "cp {noisy} {out}")
    assert not system.info.uses_profile
    assert np.array_equal(system.enhance(clip, "none", 0.0), clip.mixture)


def test_a_command_may_use_the_enrollment(run, clip):
    system = run("command", "sh -c 'test -s {enroll} && cp {noisy} {out}'")
    assert system.info.uses_profile
    assert np.array_equal(system.enhance(clip, "right", 0.0), clip.mixture)
    with pytest.raises(SystemFailure, match="needs an enrollment"):
        system.enhance(clip, "none", 0.0)


def test_the_output_of_a_command_may_have_another_rate(run, clip):
    code = (
        "import sys, soundfile, soxr; x, r = soundfile.read(sys.argv[1]); "
        "soundfile.write(sys.argv[2], soxr.resample(x, r, 48000), 48000, subtype='FLOAT')"
    )
    output = run("command", _python(code)).enhance(clip, "none", 0.0)
    assert np.corrcoef(output, clip.mixture)[0, 1] > 0.99


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("false {noisy} {out}", "status 1"),
        ("true {noisy} {out}", "wrote no"),
        ("cp /dev/null {out} --target-directory={noisy}", "status 1"),
        ("sh -c 'echo nonsense > {out}' {noisy}", "no audio file"),
        ("no-such-program {noisy} {out}", "cannot be started"),
        (_python("import sys; sys.exit('the model is missing')"), "the model is missing"),
        (
            _python(
                "import sys, soundfile; x, r = soundfile.read(sys.argv[1]); "
                "soundfile.write(sys.argv[2], x[:10], r)"
            ),
            "10 samples",
        ),
        (
            _python(
                "import sys, soundfile; x, r = soundfile.read(sys.argv[1]); "
                "soundfile.write(sys.argv[2], x * float('nan'), r, subtype='FLOAT')"
            ),
            "NaN",
        ),
    ],
)
def test_every_way_a_command_fails_has_its_reason(run, clip, template, reason):
    with pytest.raises(SystemFailure, match=reason):
        run("command", template).enhance(clip, "none", 0.0)


@pytest.mark.parametrize(
    "template", ["tool {out}", "tool {noisy}", "tool {noisy} {out} {mood}", "tool '{noisy} {out}"]
)
def test_a_template_that_cannot_work_is_refused_at_once(template):
    with pytest.raises(SystemFailure, match="template"):
        RunningSystem(SystemSpec("command", template))

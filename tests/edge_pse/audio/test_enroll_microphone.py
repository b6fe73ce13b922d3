"""``edge-pse enroll`` and ``personalise`` at simulated ALSA cards and at a private PulseAudio that hear real voices."""

import hashlib
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from edge_pse import ProfileStore, enroll
from edge_pse.audio.pcm import to_pcm
from edge_pse.enrollment.live import OTHER_VOICE, TOO_LOUD, TOO_QUIET
from edge_pse.voice_space import VoiceSpace
from tests.edge_pse.audio.running import COMMAND, Command
from tests.edge_pse.audio.terminal import Terminal

cosine = VoiceSpace().cosine  # of embeddings as they are
PATIENCE_S = 120  # on a machine that is busy with other things
LEARNING = """\
import sys
from pathlib import Path
from edge_pse.cli import main
from edge_pse.personalisation import learner
folder = Path(sys.argv.pop(1))
learner._places = lambda: iter([folder])
main()
"""
CHILD = Path(__file__).parents[1] / "personalisation/child.py"


def finished(command, status=0):
    assert command.process.wait(PATIENCE_S) == status, command.lines
    return command


@pytest.fixture(scope="module")
def env(cards, tmp_path_factory, recording):
    """Cards that hear two voices as they are and one too quiet, too loud, and interrupted by another."""
    directory = tmp_path_factory.mktemp("enroll")
    anna, bert = recording("ls367_enrollment"), recording("ls2033_enrollment")
    level = np.sqrt(np.mean(anna**2) / np.mean(bert**2))
    heard = {
        "anna": anna,
        "again": recording("ls367_speech"),
        "bert": bert,
        "quiet": anna * np.float32(10 ** (-36 / 20)),
        "loud": np.clip(anna * 20 / np.abs(anna).max(), -1, 1),
        "reading": np.resize(anna, 40 * 16_000),
        "two": np.concatenate([anna[: 5 * 16_000], level * bert[: 5 * 16_000]]),
    }
    for name, samples in heard.items():
        to_pcm(samples.astype(np.float32)).tofile(directory / f"{name}.raw")
    to_pcm(soxr.resample(anna, 16_000, 48_000)).tofile(directory / "studio.raw")
    definitions = {name: f'infile "{directory}/{name}.raw" rate 16000 channels 1' for name in heard}
    definitions["studio"] = f'infile "{directory}/studio.raw" rate 48000 channels 2 wired 1'
    return {**cards(directory, **definitions), "LC_ALL": "C.UTF-8"}


@pytest.fixture(scope="module")
def store(env):
    return ProfileStore(Path(env["EDGE_PSE_HOME"]) / "profiles")


@pytest.fixture(scope="module", autouse=True)
def personalising(env, tmp_path_factory):
    """``personalise`` with a learner that learns nothing; begun here, because it reads while the others are tested."""
    folder = tmp_path_factory.mktemp("learner")
    (folder / "personalisation").mkdir()
    (folder / "personalisation/__init__.py").touch()
    shutil.copy(CHILD, folder / "personalisation/__main__.py")
    environment = {**env, "TMPDIR": str(tmp_path_factory.mktemp("tmp")), "EDGE_PSE_CHILD": "better"}
    arguments = ("personalise", "ida", "--input", "reading", "--seconds", "15", "--minutes", "1")
    command = Command(*arguments, env=environment, program=[sys.executable, "-c", LEARNING, str(folder)])
    yield command, Path(environment["TMPDIR"])
    command.kill()


@pytest.fixture(scope="module")
def enrolled(env, store, start_command):
    """Anna, through the microphone; what was printed."""
    return finished(start_command("enroll", "anna", "--input", "anna", "--seconds", "6", env=env)).lines


def test_the_microphone_gives_the_profile_that_the_file_gives(enrolled, store, female_profile):
    profile = store.load("anna")
    assert cosine(profile.embedding, female_profile.embedding) > 0.97
    assert profile.speech_seconds == pytest.approx(6, abs=0.7)
    (recording,) = profile.recordings
    assert recording.microphone == "anna"
    assert recording.agreement is not None
    assert stat.S_IMODE((store.root / "anna.profile.json").stat().st_mode) == 0o600


def test_without_a_terminal_the_text_the_countdown_and_the_trust_are_lines(enrolled):
    printed = "\n".join(enrolled)
    assert "\x1b" not in printed
    assert "Every Thursday the old ferry" in printed
    assert "s of speech, 0.0 s to go." in printed
    assert "Enrolled anna: 6." in printed
    assert "Trust: " in printed


def test_a_stereo_card_at_48_khz_does_as_well_and_its_sound_is_kept_if_asked(
    env, store, start_command, tmp_path, model
):
    kept = tmp_path / "kept.flac"
    arguments = ("enroll", "studio", "--input", "studio", "--seconds", "6", "--keep-audio", str(kept))
    finished(start_command(*arguments, "--microphone", "a good one", "--language", "de", env=env))
    profile = store.load("studio")
    samples, rate = soundfile.read(kept)
    assert rate == 48_000
    assert cosine(profile.embedding, enroll(samples, rate, model).embedding) > 0.99
    assert profile.recordings[0].microphone == "a good one"
    assert 6 < samples.size / rate < 14
    assert np.abs(samples).max() > 0.1
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_verify_knows_the_voice_and_refuses_another(enrolled, env, start_command):
    same = start_command("enroll", "anna", "--verify", "--input", "again", "--seconds", "3", env=env)
    other = start_command("enroll", "anna", "--verify", "--input", "bert", "--seconds", "3", env=env)
    assert "Match: this is the voice of anna" in finished(same).lines[-1]
    assert "No match: this is not the voice of anna" in finished(other, 1).lines[-1]


def test_another_microphone_can_be_added_but_not_another_voice(enrolled, env, store, start_command):
    before = store.load("anna")
    other = start_command("enroll", "anna", "--add", "--input", "bert", "--seconds", "3", env=env)
    assert "does not sound like anna" in finished(other, 1).lines[-1]
    assert len(store.load("anna").recordings) == 1
    finished(start_command("enroll", "anna", "--add", "--input", "again", "--seconds", "3", env=env))
    after = store.load("anna")
    assert [recording.microphone for recording in after.recordings] == ["anna", "again"]
    assert after.speech_seconds > before.speech_seconds + 2.5


def test_bad_sound_is_advised_against_and_then_refused(env, store, start_command):
    said = {
        "quiet": (TOO_QUIET, "The voice is too quiet"),
        "loud": (TOO_LOUD, "It is clipped"),
    }
    commands = {
        microphone: start_command("enroll", microphone, "--input", microphone, "--seconds", "3", env=env)
        for microphone in said
    }
    for microphone, (advice, refusal) in said.items():
        command = finished(commands[microphone], 1)
        assert any(advice in line for line in command.lines), command.lines
        assert refusal in command.lines[-1]
        assert microphone not in store


def test_a_second_voice_is_noticed(env, start_command):
    command = start_command("enroll", "two", "--input", "two", "--seconds", "6.5", env=env)
    finished(command)
    assert any(OTHER_VOICE in line for line in command.lines), command.lines


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ended_half_way_nothing_is_left(env, store, start_command, tmp_path, number):
    kept = tmp_path / "kept.wav"
    arguments = ("--input", "anna", "--seconds", "60", "--keep-audio", str(kept))
    command = start_command("enroll", "dora", *arguments, env=env)
    command.wait_for("s to go", PATIENCE_S)
    before = store.list()
    command.process.send_signal(number)
    assert command.process.wait(20) != 0
    assert store.list() == before and not list(store.root.glob("*dora*"))
    assert list(tmp_path.iterdir()) == []
    assert not any("Traceback" in line for line in command.lines)


def test_whoever_reads_how_it_goes_and_leaves_leaves_no_open_microphone(env, store):
    arguments = ["enroll", "gone", "--input", "anna", "--seconds", "60", "--json"]
    process = subprocess.Popen(
        [*COMMAND, *arguments], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert b'"text"' in process.stdout.readline()
    process.stdout.close()
    try:
        assert process.wait(20) == -signal.SIGPIPE, process.stderr.read()
    finally:
        process.kill()
        process.communicate()
    assert "gone" not in store


def test_on_a_terminal_there_is_a_meter(env, store):
    terminal = Terminal("enroll", "tess", "--input", "anna", "--seconds", "3", "--language", "fr", env=env)
    try:
        terminal.wait_for("Chaque jeudi", PATIENCE_S)
        terminal.wait_for("dBFS", PATIENCE_S)
        terminal.wait_for("Enrolled tess", PATIENCE_S)
        assert terminal.process.wait(20) == 0
        assert "tess" in store
    finally:
        terminal.process.kill()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--input", "nowhere"), "There is no input device 'nowhere' now"),
        (("--input", "anna", "--keep-audio", "voice.mp4"), "end it in .wav or .flac"),
        (("--input", "anna", "--keep-audio", "/nowhere/voice.wav"), "There is no folder /nowhere"),
        (("--input", "anna", "--from", "x.wav"), "are for the microphone, not for files"),
        (("--verify",), "There is no profile 'eve'"),
        (("--add", "--verify"), "only one of"),
    ],
)
def test_what_can_not_work_is_said_before_anybody_reads(env, start_command, arguments, sentence):
    command = start_command("enroll", "eve", *arguments, env=env)
    assert command.process.wait(PATIENCE_S) in (1, 2)
    command.wait_for(sentence, 5)
    assert not any("Traceback" in line for line in command.lines)


def test_an_earlier_recording_is_not_destroyed(env, start_command, tmp_path):
    kept = tmp_path / "kept.wav"
    kept.write_bytes(b"an earlier one")
    command = start_command("enroll", "eve", "--input", "anna", "--keep-audio", str(kept), env=env)
    assert command.process.wait(PATIENCE_S) == 1
    command.wait_for("is there already, and stays as it is", 5)
    assert kept.read_bytes() == b"an earlier one"


def test_a_card_that_is_unplugged_ends_it_with_a_sentence(cards, tmp_path, start_command, speech_pcm):
    speech_pcm.tofile(tmp_path / "mic.raw")
    fault = tmp_path / "fault"
    env = cards(tmp_path, mic=f'infile "{tmp_path}/mic.raw" rate 16000 channels 1 fault "{fault}"')
    command = start_command("enroll", "anna", "--input", "mic", "--seconds", "60", env=env)
    command.wait_for("s to go", PATIENCE_S)
    fault.write_text("stall")
    assert command.process.wait(PATIENCE_S) == 1
    assert "No samples come from mic" in command.lines[-1]
    assert not (tmp_path / "edge-pse").exists()


def test_a_microphone_of_the_sound_server(sound_server, start_command, recording, female_profile):
    """One at the rate of the voice: the server's change of rate would cut off a little of its highest sounds."""
    command = start_command(
        "enroll", "anna", "--input", "ears.monitor", "--seconds", "6", env=sound_server.env
    )
    command.wait_for("Listening to", PATIENCE_S)
    player = sound_server.play(to_pcm(recording("ls367_enrollment")), "ears")
    finished(command)
    player.kill()
    profile = ProfileStore(sound_server.root / "edge-pse" / "profiles").load("anna")
    assert cosine(profile.embedding, female_profile.embedding) > 0.97
    assert profile.recordings[0].microphone


def test_a_minute_of_reading_goes_from_the_microphone_to_the_learner_and_to_no_disk(
    personalising, store, female_profile
):
    command, temporary = personalising
    printed = "\n".join(finished(command).lines)
    assert "Every Thursday the old ferry" in printed and "s of speech, 0.0 s to go." in printed
    assert printed.index("Enrolled ida: 1") < printed.index("pvqe-s learns ida for 1.0 minutes at most")
    assert "pvqe-s has personal weights for ida now" in printed
    profile = store.load("ida")
    assert profile.personal is not None and profile.personal.fits(profile)
    assert cosine(profile.embedding, female_profile.embedding) > 0.97
    (recording,) = profile.recordings
    assert recording.microphone == "reading" and recording.speech_seconds == pytest.approx(15, abs=1.5)
    learnt = profile.personal.networks["pvqe-s"].scores
    (samples,) = learnt["task"]["reading"]
    assert 15 < samples / 16_000 < 30
    # What the learner was given is sound, and in no file.
    assert learnt["sha256"][0] != hashlib.sha256(bytes(4 * samples)).hexdigest()
    assert list(temporary.iterdir()) == []
    assert {path.name for path in store.root.glob("ida*")} == {"ida.profile.json", "ida.personal"}

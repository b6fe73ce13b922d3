"""``edge-pse enroll`` with real recordings."""

import numpy as np
import pytest
import soundfile

from edge_pse import ProfileStore, enroll


def test_a_recording_becomes_a_profile(run, home, fixtures, female_profile):
    result = run("enroll", "anna", "--from", fixtures / "ls367_enrollment.opus")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Enrolled anna: {female_profile.speech_seconds:.1f} s of speech, ")
    assert "--profile anna" in result.stdout
    assert result.stderr == ""
    profile = ProfileStore().load("anna")
    np.testing.assert_allclose(profile.embedding, female_profile.embedding, atol=1e-5)
    assert profile.model_id == female_profile.model_id
    assert (home / "profiles" / "anna.profile.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "form", [("--from", "{0}", "--from", "{1}"), ("--from", "{0}", "{1}"), ("{0}", "{1}")]
)
def test_several_recordings_make_one_profile(run, home, fixtures, bundle, recording, form):
    paths = [fixtures / "ls367_speech.opus", fixtures / "ls367_enrollment.opus"]
    assert run("enroll", "anna", *(part.format(*paths) for part in form)).exit_code == 0
    both = np.concatenate([recording("ls367_speech"), recording("ls367_enrollment")])
    expected = enroll(both, bundle=bundle).embedding
    np.testing.assert_allclose(ProfileStore().load("anna").embedding, expected, atol=1e-5)


def test_without_a_recording_it_says_to_give_one(refused, home):
    message = refused("enroll", "anna", status=2)
    assert message == "Error: Give a recording of the voice: edge-pse enroll anna --from FILE"
    assert not home.exists()


def test_a_name_that_is_taken_is_kept_unless_told(run, refused, fixtures):
    run("enroll", "anna", fixtures / "ls367_enrollment.opus")
    before = ProfileStore().load("anna").embedding
    message = refused("enroll", "anna", fixtures / "ls2033_enrollment.opus")
    assert "already: add --replace" in message
    np.testing.assert_array_equal(ProfileStore().load("anna").embedding, before)
    assert run("enroll", "anna", fixtures / "ls2033_enrollment.opus", "--replace").exit_code == 0
    assert not np.allclose(ProfileStore().load("anna").embedding, before)


def test_a_recording_that_will_not_do_is_refused_with_the_reasons(refused, home, tmp_path, recording):
    soundfile.write(tmp_path / "short.wav", recording("ls367_speech")[:16_000], 16_000)
    message = refused("enroll", "anna", "--from", tmp_path / "short.wav")
    assert "only 1.0 s long: record at least 3 s" in message
    assert not home.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("anna", "missing.wav"), "Can't read missing.wav: No such file"),
        (("../anna", "{0}"), "is no name for a profile"),
        (("anna", "{0}", "--model", "nonsense"), "There is no model 'nonsense'"),
        (("anna", "{0}", "{1}"), "is not audio that can be read"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(refused, home, fixtures, arguments, message):
    files = fixtures / "ls367_enrollment.opus", fixtures / "README.md"
    assert message in refused("enroll", *(argument.format(*files) for argument in arguments))
    assert not list(home.rglob("*.json"))

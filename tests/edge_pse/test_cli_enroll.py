"""``edge-pse enroll`` with real recordings."""

import dataclasses
import json
from importlib import import_module

import numpy as np
import pytest
import soundfile

from edge_pse import ProfileStore, enroll
from edge_pse.cli.enroll_microphone import Heard
from edge_pse.enrollment import extract_recording, trust
from tests.edge_pse.learnt import weights_of, with_personal


def test_a_recording_becomes_a_profile(run, home, fixtures, female_profile):
    result = run("enroll", "anna", "--from", fixtures / "ls367_enrollment.opus")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Enrolled anna: {female_profile.speech_seconds:.1f} s of speech, ")
    assert f"told their voice from {trust(female_profile):.0%} of others" in result.stdout
    assert "--profile anna" in result.stdout
    assert result.stderr == ""
    profile = ProfileStore().load("anna")
    np.testing.assert_allclose(profile.embedding, female_profile.embedding, atol=1e-5)
    assert profile.model_id == female_profile.model_id
    assert (home / "profiles" / "anna.profile.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "form", [("--from", "{0}", "--from", "{1}"), ("--from", "{0}", "{1}"), ("{0}", "{1}")]
)
def test_several_recordings_make_one_profile(run, home, fixtures, model, recording, form):
    paths = [fixtures / "ls367_speech.opus", fixtures / "ls367_enrollment.opus"]
    assert run("enroll", "anna", *(part.format(*paths) for part in form)).exit_code == 0
    both = np.concatenate([recording("ls367_speech"), recording("ls367_enrollment")])
    expected = enroll(both, 16_000, model=model).embedding
    np.testing.assert_allclose(ProfileStore().load("anna").embedding, expected, atol=1e-5)


def test_verify_tells_one_voice_from_another_and_changes_nothing(run, home, fixtures):
    run("enroll", "anna", fixtures / "ls367_enrollment.opus")
    before = (home / "profiles" / "anna.profile.json").read_bytes()
    same = run("enroll", "anna", "--verify", "--from", fixtures / "ls367_speech.opus")
    assert (same.exit_code, same.stdout[:41]) == (0, "Match: this is the voice of anna (cosine ")
    other = run("enroll", "anna", "--verify", "--from", fixtures / "ls2033_speech.opus")
    assert (other.exit_code, other.stdout[:48]) == (1, "No match: this is not the voice of anna (cosine ")
    assert (home / "profiles" / "anna.profile.json").read_bytes() == before


def test_what_sounds_like_another_voice_is_added_if_the_user_insists(run, refused, home, fixtures):
    run("enroll", "anna", "--from", fixtures / "ls367_enrollment.opus")
    other = fixtures / "ls2033_speech.opus"
    assert "add --insist" in refused("enroll", "anna", "--add", other)
    result = run("enroll", "anna", "--add", "--insist", other)
    assert result.exit_code == 0
    assert "It sounds like another voice (cosine " in result.stdout
    assert len(ProfileStore().load("anna").recordings) == 2
    assert run("enroll", "bob", "--insist", other).exit_code != 0
    assert "bob" not in ProfileStore()


def test_recordings_can_be_added_with_the_names_of_their_microphones(run, refused, home, fixtures):
    run("enroll", "anna", "--from", fixtures / "ls367_enrollment.opus", "--microphone", "desk")
    result = run(
        "enroll", "anna", "--add", "--microphone", "headset", "--from", fixtures / "ls367_speech.opus"
    )
    assert result.exit_code == 0
    assert "through headset" in result.stdout
    profile = ProfileStore().load("anna")
    assert [recording.microphone for recording in profile.recordings] == ["desk", "headset"]
    assert f"2 recordings, {profile.speech_seconds:.1f} s of speech" in result.stdout
    message = refused("enroll", "anna", "--add", fixtures / "ls2033_speech.opus")
    assert "does not sound like anna" in message
    np.testing.assert_array_equal(ProfileStore().load("anna").embedding, profile.embedding)


def test_a_profile_of_another_model_is_not_mixed_with_this_one(refused, home, fixtures, female_profile):
    ProfileStore().save(dataclasses.replace(female_profile, name="anna", model_id="pvqe-s-0123456789ab"))
    for what in ("--add", "--verify"):
        assert "made with model pvqe-s-0123456789ab" in refused(
            "enroll", "anna", what, fixtures / "ls367_speech.opus"
        )


def test_a_name_that_is_taken_is_kept_unless_told(run, refused, fixtures):
    run("enroll", "anna", fixtures / "ls367_enrollment.opus")
    before = ProfileStore().load("anna").embedding
    message = refused("enroll", "anna", fixtures / "ls2033_enrollment.opus")
    assert "already: add --replace to enroll again or --add" in message
    np.testing.assert_array_equal(ProfileStore().load("anna").embedding, before)
    assert run("enroll", "anna", fixtures / "ls2033_enrollment.opus", "--replace").exit_code == 0
    assert not np.allclose(ProfileStore().load("anna").embedding, before)


@pytest.fixture
def meanwhile(monkeypatch):
    """``meanwhile(work)``: what another program does while this one listens to the recording."""

    def arrange(work):
        def extract_and_meet(*arguments, **options):
            made = extract_recording(*arguments, **options)
            work()
            return made

        monkeypatch.setattr(import_module("edge_pse.cli.enroll"), "extract_recording", extract_and_meet)

    return arrange


def test_a_name_that_is_taken_meanwhile_is_kept(refused, home, fixtures, meanwhile, male_profile):
    meanwhile(lambda: ProfileStore().save(dataclasses.replace(male_profile, name="anna")))
    assert "There is a profile 'anna' already" in refused(
        "enroll", "anna", fixtures / "ls367_enrollment.opus"
    )
    np.testing.assert_array_equal(ProfileStore().load("anna").embedding, male_profile.embedding)


def test_what_is_added_meanwhile_is_kept(run, home, fixtures, meanwhile, female_profile):
    store = ProfileStore()
    store.save(dataclasses.replace(female_profile, name="anna"))
    (heard,) = female_profile.recordings
    meanwhile(lambda: store.update("anna", lambda known: known.with_recording(heard, known.model_id)))
    assert "3 recordings" in run("enroll", "anna", "--add", fixtures / "ls367_speech.opus").stdout
    assert len(store.load("anna").recordings) == 3


def test_another_voice_that_took_the_name_meanwhile_gets_nothing_added(
    refused, home, fixtures, meanwhile, female_profile, male_profile
):
    store = ProfileStore()
    store.save(dataclasses.replace(female_profile, name="anna"))
    meanwhile(lambda: store.save(dataclasses.replace(male_profile, name="anna")))
    assert "does not sound like anna" in refused("enroll", "anna", "--add", fixtures / "ls367_speech.opus")
    assert len(store.load("anna").recordings) == 1


def test_a_recording_that_will_not_do_is_refused_with_the_reasons(refused, home, tmp_path, recording):
    soundfile.write(tmp_path / "short.wav", recording("ls367_speech")[:16_000], 16_000)
    message = refused("enroll", "anna", "--from", tmp_path / "short.wav")
    assert "only 1.0 s long: record at least 3 s" in message
    assert not home.exists()


def test_what_is_for_the_microphone_is_not_for_files(refused, home, fixtures):
    file = fixtures / "ls367_enrollment.opus"
    assert "are for the microphone" in refused("enroll", "anna", file, "--seconds", 30, status=2)
    assert "--verify keeps none" in refused("enroll", "anna", "--verify", "--microphone", "desk", status=2)
    assert not list(home.rglob("*.json"))


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


def test_whoever_enrolls_again_or_adds_hears_first_and_last_which_personal_weights_that_costs(
    run, refused, home, fixtures, female_profile, model
):
    anna = dataclasses.replace(female_profile, name="anna")
    ProfileStore().save(with_personal(anna, model, weights_of(model)))
    lost = "anna has personal weights (pvqe-s), of the voice as it is enrolled now. They will be lost"
    again = "so pvqe-s has to learn it again: edge-pse personalise anna --model pvqe-s"
    assert "(its personal weights, pvqe-s, are lost then)" in refused(
        "enroll", "anna", fixtures / "ls367_speech.opus"
    )
    verified = run("enroll", "anna", "--verify", fixtures / "ls367_speech.opus").stdout
    assert "weights" not in verified and ProfileStore().load("anna").personal is not None
    added = run("enroll", "anna", "--add", fixtures / "ls367_speech.opus").stdout
    assert added.startswith(lost) and added.endswith(f"{again}\n")
    assert not (known := ProfileStore().load("anna")).personal.fits(known)
    more = run("enroll", "anna", "--add", fixtures / "ls367_speech.opus").stdout
    assert "weights" not in more and again not in more, "they had been of no use already"
    replaced = run("enroll", "anna", "--replace", fixtures / "ls367_enrollment.opus").stdout
    assert replaced.startswith(lost) and replaced.index("Enrolled anna: ") < replaced.index(again)
    assert ProfileStore().load("anna").personal is None
    assert "weights" not in run("enroll", "anna", "--replace", fixtures / "ls367_enrollment.opus").stdout


def test_a_recording_that_is_named_twice_counts_once(run, refused, fixtures, tmp_path):
    samples, rate_hz = soundfile.read(fixtures / "ls367_enrollment.opus")
    short, link = tmp_path / "short.wav", tmp_path / "link.wav"
    soundfile.write(short, samples[: 8 * rate_hz], rate_hz)
    link.symlink_to(short)
    once = run("enroll", "once", "--from", short)
    twice = run("enroll", "twice", "--from", short, link)
    assert (once.exit_code, twice.exit_code) == (0, 0)
    assert f"{link} is named twice, and counts once" in twice.stderr
    assert twice.stdout.splitlines()[0] == once.stdout.splitlines()[0].replace("once", "twice")


def test_another_program_hears_of_a_voice_that_is_another_one(run, home, fixtures, monkeypatch, male_profile):
    run("enroll", "anna", fixtures / "ls367_enrollment.opus")
    heard = Heard(male_profile.recordings[0], np.zeros(0, np.float32), 16_000)
    monkeypatch.setattr(import_module("edge_pse.cli.enroll"), "record", lambda *_: heard)
    result = run("enroll", "anna", "--verify", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["said"][0].startswith("No match: this is not the voice of anna")

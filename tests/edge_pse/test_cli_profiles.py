"""``edge-pse profiles``, on profiles of real voices."""

import dataclasses

import numpy as np
import pytest

from edge_pse import ProfileStore
from edge_pse.enrollment.verification import trust


@pytest.fixture
def store(home, female_profile, male_profile):
    store = ProfileStore()
    store.save(dataclasses.replace(female_profile, name="anna"))
    store.save(dataclasses.replace(male_profile, name="bert"))
    return store


def test_without_profiles_the_list_says_how_to_make_one(run, home):
    result = run("profiles", "list")
    assert result.exit_code == 0
    assert result.stdout == f"No profiles in {home}/profiles. To make one: edge-pse enroll NAME\n"


def test_the_list_has_a_line_for_each(run, store, female_profile):
    header, anna, bert = run("profiles", "list").stdout.splitlines()
    assert header.split() == [
        "profile",
        "model",
        "speech",
        "above",
        "noise",
        "trust",
        "recordings",
        "enrolled",
    ]
    seconds, snr = f"{female_profile.speech_seconds:.1f}", f"{female_profile.snr_db:.0f}"
    created = store.load("anna").created
    trusted = f"{trust(female_profile):.0%}"
    assert anna.split() == ["anna", female_profile.model_id, seconds, "s", snr, "dB", trusted, "1", created]
    assert bert.startswith("bert ")


def test_a_damaged_profile_does_not_hide_the_others(run, refused, store):
    path = store.root / "anna.profile.json"
    path.write_bytes(path.read_bytes()[:300])
    _, anna, bert = run("profiles", "list").stdout.splitlines()
    assert "can't be read" in anna
    assert "pvqe-s-" in bert
    assert "is damaged or not a voice profile" in refused("profiles", "show", "anna")


def test_show_tells_what_is_known_and_not_the_voice(run, store, female_profile):
    shown = run("profiles", "show", "anna").stdout
    for known in ("anna", female_profile.model_id, store.load("anna").created, str(store.root)):
        assert known in shown
    assert "2 x 256 numbers of each recording, no audio" in shown
    assert len(shown) < 600


def test_show_tells_what_each_recording_was(run, store, male_profile):
    first = store.load("anna")
    added = dataclasses.replace(
        male_profile.recordings[0], microphone="headset", speech_seconds=7.0, snr_db=20.0
    )
    store.save(first.with_recording(added, first.model_id))
    lines = run("profiles", "show", "anna").stdout.splitlines()
    assert lines[-2].startswith("recording 1 ")
    assert lines[-1].startswith("recording 2  7.0 s of speech, 20 dB above the noise, through headset, 20")
    assert run("profiles", "list").stdout.splitlines()[1].split()[-2] == "2"


def test_delete_takes_away_one(run, store):
    assert run("profiles", "delete", "anna").stdout == "Deleted anna.\n"
    assert store.list() == ["bert"]


def test_a_profile_travels_as_a_file(run, refused, store, tmp_path, female_profile):
    file = tmp_path / "voice.json"
    assert run("profiles", "export", "anna", file).exit_code == 0
    assert file.stat().st_mode & 0o077 == 0
    assert "already" in refused("profiles", "import", file)
    assert "Imported clara" in run("profiles", "import", file, "--name", "clara").stdout
    run("profiles", "delete", "anna")
    assert "Imported anna" in run("profiles", "import", file).stdout
    assert store.list() == ["anna", "bert", "clara"]
    np.testing.assert_array_equal(store.load("clara").embedding, female_profile.embedding)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "nobody"), "There is no profile 'nobody'"),
        (("delete", "nobody"), "There is no profile 'nobody'"),
        (("export", "nobody", "file"), "There is no profile 'nobody'"),
        (("export", "anna", "/missing/file"), "Nothing was changed"),
        (("import", "/missing/file"), "No such file"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(refused, store, arguments, message):
    assert message in refused("profiles", *arguments)
    assert store.list() == ["anna", "bert"]

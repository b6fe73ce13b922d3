"""``edge-pse profiles``, on profiles of real voices."""

import dataclasses

import numpy as np
import pytest

from edge_pse import ProfileStore
from edge_pse.enrollment.verification import trust
from edge_pse.profiles import PersonalFile
from tests.edge_pse.learnt import SENTENCES, weights_of, with_personal


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
        "personal",
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
    assert anna.split() == [
        "anna",
        female_profile.model_id,
        "no",
        seconds,
        "s",
        snr,
        "dB",
        trusted,
        "1",
        created,
    ]
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


def test_delete_says_what_is_left_behind_links(run, store, tmp_path):
    file, elsewhere = store.files("anna")[0], tmp_path / "anna.json"
    file.rename(elsewhere)
    file.symlink_to(elsewhere)
    said = run("profiles", "delete", "anna").stdout
    assert f"{elsewhere} still holds the voice, and is yours to delete." in said
    assert store.list() == ["bert"] and elsewhere.exists()
    assert run("profiles", "delete", "bert").stdout == "Deleted bert.\n"


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


@pytest.fixture
def learnt(store, model):
    """The store, when the network has learnt the voice of ``anna``."""
    store.update("anna", lambda known: with_personal(known, model, weights_of(model)))
    return store


def test_list_and_show_say_which_networks_have_learnt_the_voice_and_what_was_gained(run, learnt, model):
    _, anna, bert = (line.split() for line in run("profiles", "list").stdout.splitlines())
    assert (anna[2], bert[2]) == ("pvqe-s", "no")
    shown = run("profiles", "show", "anna").stdout
    assert (
        "personal     pvqe-s, learnt from 60 s in 9.8 min, against 1 recording of others, 2025-11-29T"
        in shown
    )
    assert [line[13:] for line in shown.splitlines() if line.startswith("gained")] == list(SENTENCES)
    assert "general      pvqe-s-far, pvqe-xs\n" in shown and "not used" not in shown
    assert "personal     no; " in run("profiles", "show", "bert").stdout


def test_weights_that_can_not_be_used_are_called_old_and_the_reason_is_shown(run, learnt, model):
    learnt.update("anna", lambda known: known.with_recording(known.recordings[0], known.model_id))
    assert "(old)" not in run("profiles", "list").stdout, "the same recording twice is the same voice"
    bert = learnt.load("bert").recordings[0]
    learnt.update("anna", lambda known: known.with_recording(bert, known.model_id))
    assert "pvqe-s (old)" in run("profiles", "list").stdout
    again = "Run `edge-pse personalise anna` again."
    assert f"not used     The profile has changed since. {again}" in run("profiles", "show", "anna").stdout
    files = {model.file_name: PersonalFile(64 * "0", b"1")}
    learnt.update("anna", lambda known: with_personal(known, model, b"1", files=files))
    shown = run("profiles", "show", "anna").stdout
    assert "not used     They are " in shown and again in shown


def test_damaged_weights_hide_nothing_of_the_profile(run, learnt, female_profile):
    (learnt.root / "anna.personal").write_bytes(b"PK")
    for command in (("list",), ("show", "anna")):
        result = run("profiles", *command)
        assert result.exit_code == 0 and female_profile.model_id in result.stdout
        (line,) = result.stderr.splitlines()
        assert line.startswith(
            "Warning: Profile 'anna' goes without its personal weights. These personal weights are"
        )


def test_who_wants_no_personal_weights_is_not_warned_of_damaged_ones(run, learnt, fixtures, tmp_path):
    learnt.files("anna")[1].write_bytes(b"PK")
    sound = fixtures / "ls367_speech.opus"
    general = run("enhance", sound, "-o", tmp_path / "out.wav", "--profile", "anna", "--general")
    assert (general.exit_code, general.stderr) == (0, "")
    assert "personal weights" not in run("who", sound).stderr
    assert "goes without its personal weights" in run("profiles", "show", "anna").stderr


def test_a_run_adds_nothing_to_a_profile_whose_personal_weights_fit(run, learnt):
    result = run("run", "--input", "no such device", "--profile", "anna", "--auto-enroll", "anna")
    assert result.exit_code == 1  # there is no such device
    assert result.stdout == "Nothing is added to anna: its personal weights fit it as it is.\n"


def test_personal_weights_travel_with_the_profile_and_are_deleted_with_it(run, learnt, tmp_path, names_in):
    both, alone = tmp_path / "both", tmp_path / "alone"
    run("profiles", "export", "anna", both)
    run("profiles", "export", "anna", alone, "--general")
    assert "with personal weights of pvqe-s." in run("profiles", "import", both, "--name", "clara").stdout
    assert "personal" not in run("profiles", "import", alone, "--name", "dora").stdout
    assert learnt.load("clara").personal.fingerprint == learnt.load("anna").personal.fingerprint
    for name in ("anna", "clara"):
        run("profiles", "delete", name)
    assert names_in(learnt.root) == [".lock", "bert.profile.json", "dora.profile.json"]


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


def test_delete_names_the_personal_weights_that_go_with_the_profile(run, learnt, names_in):
    assert run("profiles", "delete", "anna").stdout == "Deleted anna and its personal weights (pvqe-s).\n"
    assert [name for name in names_in(learnt.root) if name.startswith("anna")] == []


def test_personal_weights_of_a_profile_that_was_removed_by_hand_are_listed_and_deleted(
    run, refused, learnt, names_in
):
    assert run("profiles", "list").stderr == ""
    learnt.files("anna")[0].rename(learnt.files("clara")[0])
    assert "still hold the voice: edge-pse profiles delete anna\n" in run("profiles", "list").stderr
    assert run("profiles", "delete", "anna").exit_code == 0
    assert "anna.personal" not in names_in(learnt.root) and learnt.list() == ["bert", "clara"]
    assert run("profiles", "list").stderr == ""
    assert "There is no profile 'anna'" in refused("profiles", "delete", "anna")


def test_an_export_takes_the_place_of_an_earlier_one_and_of_nothing_else(run, refused, store, tmp_path):
    file, sound = tmp_path / "voice.json", tmp_path / "talk.wav"
    sound.write_bytes(b"RIFF")
    own = store.files("bert")[0]
    before = own.read_bytes()
    for _ in range(2):
        assert run("profiles", "export", "anna", file).exit_code == 0
    assert "stays as it is" in refused("profiles", "export", "anna", sound)
    assert sound.read_bytes() == b"RIFF"
    link = tmp_path / "link.json"
    link.symlink_to(own)
    for place in (own, link, store.root / "new"):
        assert "among the profiles themselves" in refused("profiles", "export", "anna", place)
    assert own.read_bytes() == before and store.list() == ["anna", "bert"]


def test_a_backup_of_personal_weights_is_not_replaced_by_one_without(run, store, tmp_path):
    backup = tmp_path / "anna.profile"
    assert run("profiles", "export", "anna", backup).exit_code == 0
    before = backup.read_bytes()
    store.files("anna")[1].write_bytes(b"PK")
    result = run("profiles", "export", "anna", backup)
    assert result.exit_code == 1 and "nothing was written" in result.stderr and "--general" in result.stderr
    assert backup.read_bytes() == before
    assert run("profiles", "export", "anna", backup, "--general").exit_code == 0


def test_an_export_of_another_voice_stays(run, refused, store, tmp_path):
    file = tmp_path / "voice.profile"
    assert run("profiles", "export", "anna", file).exit_code == 0
    before = file.read_bytes()
    message = refused("profiles", "export", "bert", file)
    assert "holds the voice of 'anna', and stays as it is" in message and file.read_bytes() == before
    # The same profile by another name, and by its own with another recording.
    assert run("profiles", "import", file, "--name", "anna-2").exit_code == 0
    assert run("profiles", "export", "anna-2", file).exit_code == 0
    recording = store.load("bert").recordings[0]
    store.update("anna-2", lambda known: known.with_recording(recording, known.model_id))
    assert run("profiles", "export", "anna-2", file).exit_code == 0


def test_a_dash_is_no_file_for_a_voice(refused, store, tmp_path, names_in, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = names_in(tmp_path)
    for command in (("export", "anna", "-"), ("import", "-")):
        assert "A profile goes to a file" in refused("profiles", *command, status=2)
    assert names_in(tmp_path) == before


def test_an_export_says_which_personal_weights_are_not_in_it(run, learnt, tmp_path):
    file = tmp_path / "anna.profile"
    assert "personal weights" not in run("profiles", "export", "anna", file).stdout
    recording = learnt.load("bert").recordings[0]
    learnt.update("anna", lambda known: known.with_recording(recording, known.model_id))
    said = run("profiles", "export", "anna", tmp_path / "changed.profile").stdout
    assert "Its personal weights (pvqe-s) are not in it: the profile has changed" in said
    assert "personal weights" not in run("profiles", "export", "anna", file, "--general").stdout

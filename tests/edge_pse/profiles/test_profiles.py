"""Profiles on disk: private, whole or not at all, and refused with a sentence when they are bad."""

import base64
import dataclasses
import hashlib
import json
import os
import stat
import subprocess
import sys

import numpy as np
import pytest

from edge_pse import Enhancer, Profile, ProfileStore
from edge_pse.errors import ProfileError
from edge_pse.profiles import MOST_RECORDINGS, Recording


@pytest.fixture
def store(tmp_path):
    return ProfileStore(tmp_path / "profiles")


@pytest.fixture
def profile():
    return of_one(np.random.default_rng(1).standard_normal(256).astype(np.float32))


def of_one(embedding, speech_seconds=9.5):
    """The profile of one recording."""
    recording = Recording(embedding, half_band=embedding, speech_seconds=speech_seconds, snr_db=31.25)
    return Profile("anna", "pvqe-s-0123456789ab", (recording,))


def file_of(store, name):
    return store.root / f"{name}.profile.json"


def names_in(directory):
    return sorted(path.name for path in directory.iterdir())


def rewrite(path, **changes):
    """Change fields of a stored profile and give it a checksum that fits, as another program might."""
    content = json.loads(path.read_text())
    del content["sha256"]
    content |= changes
    seal(path, content)


def seal(path, content):
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    content["sha256"] = hashlib.sha256(canonical.encode()).hexdigest()
    path.write_text(json.dumps(content))


def assert_same(one, other):
    np.testing.assert_array_equal(one.embedding, other.embedding)
    for field in ("name", "model_id", "speech_seconds", "snr_db", "created"):
        assert getattr(one, field) == getattr(other, field)
    for ours, theirs in zip(one.recordings, other.recordings, strict=True):
        np.testing.assert_array_equal(ours.embedding, theirs.embedding)
        for field in ("speech_seconds", "snr_db", "microphone", "created", "agreement"):
            assert getattr(ours, field) == getattr(theirs, field)


def test_what_is_saved_is_what_is_loaded(store, profile):
    store.save(profile)
    loaded = store.load("anna")
    assert_same(loaded, profile)
    assert loaded.embedding.dtype == np.float32


def test_a_real_profile_serves_as_well_from_the_disk(store, model, recording, female_profile):
    speech = recording("ls367_speech")[:16_000]
    store.save(female_profile)
    fresh = Enhancer(model, female_profile).enhance(speech, 16_000)
    np.testing.assert_array_equal(Enhancer(model, store.load("ls367")).enhance(speech, 16_000), fresh)


def test_the_embedding_is_read_only_and_not_the_callers():
    mine = np.ones(256, np.float32)
    kept = of_one(mine)
    mine[:] = 7
    np.testing.assert_array_equal(kept.embedding, 1)
    with pytest.raises(ValueError, match="read-only"):
        kept.embedding[0] = 3


@pytest.mark.parametrize("embedding", [np.full(256, np.nan), np.zeros((2, 128)), np.zeros(0)])
def test_an_embedding_that_is_none_is_refused(embedding):
    with pytest.raises(ProfileError, match="enroll the voice again"):
        of_one(embedding)


def test_nobody_else_can_read_the_files_or_the_directory(store, profile, tmp_path):
    previous = os.umask(0)
    try:
        store.save(profile)
        store.export("anna", tmp_path / "anna.json")
    finally:
        os.umask(previous)
    assert stat.S_IMODE(file_of(store, "anna").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "anna.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(store.root.stat().st_mode) == 0o700


def test_a_file_has_the_documented_fields_and_no_audio(store, profile):
    store.save(profile)
    content = json.loads(file_of(store, "anna").read_text())
    assert set(content) == {"schema_version", "name", "model_id", "recordings", "sha256"}
    (recording,) = content["recordings"]
    fields = "microphone created speech_seconds snr_db agreement embedding half_band"
    assert set(recording) == set(fields.split())
    assert base64.b64decode(recording["embedding"]) == profile.embedding.astype("<f4").tobytes()
    assert file_of(store, "anna").stat().st_size < 4_000


def test_saving_again_replaces(store, profile):
    store.save(profile)
    store.save(of_one(profile.embedding, speech_seconds=4.0))
    assert store.load("anna").speech_seconds == 4.0
    assert names_in(store.root) == [".lock", "anna.profile.json"]


def test_a_full_disk_leaves_the_old_profile_and_nothing_else(small_disk, fill, profile):
    store = ProfileStore(small_disk / "profiles")
    store.save(profile)
    fill(small_disk)
    before = file_of(store, "anna").read_bytes()
    with pytest.raises(ProfileError, match=r"No space left on device.*make room"):
        store.save(of_one(profile.embedding, speech_seconds=4.0))
    with pytest.raises(ProfileError, match="No space left on device"):
        store.save(dataclasses.replace(profile, name="bert"))
    with pytest.raises(ProfileError, match="No space left on device"):
        store.export("anna", small_disk / "anna.json")
    assert file_of(store, "anna").read_bytes() == before
    assert names_in(store.root) == [".lock", "anna.profile.json"]
    assert names_in(small_disk) == ["filler", "profiles"]


def test_readers_see_the_old_or_the_new_profile_whole_while_it_is_replaced(store, profile):
    """One process writes without pause while this one reads: no read may fail or see a mixture."""
    store.save(profile)
    writer = (
        "import sys, numpy as np; from pathlib import Path; from edge_pse import Profile, ProfileStore\n"
        "from edge_pse.profiles import Recording\n"
        "store = ProfileStore(Path(sys.argv[1])); profile = store.load('anna'); count = 0\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    count += 1\n"
        "    embedding = np.full(256, count / 1024, np.float32)\n"
        "    recording = Recording(embedding, embedding, speech_seconds=float(count), snr_db=9.0)\n"
        "    store.save(Profile('anna', profile.model_id, (recording,)))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", writer, str(store.root)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "ready\n"
        seen = set()
        while len(seen) < 50:
            assert process.poll() is None
            loaded = store.load("anna")
            if loaded.speech_seconds != profile.speech_seconds:
                np.testing.assert_array_equal(loaded.embedding, loaded.speech_seconds / 1024)
                seen.add(loaded.speech_seconds)
    finally:
        process.kill()
        process.communicate()


def test_a_writer_killed_half_way_leaves_nothing_that_counts_as_a_profile(store, profile):
    store.save(profile)
    (store.root / ".k3j2h1.tmp").write_bytes(b'{"schema_version": 1, "na')
    assert store.list() == ["anna"]
    assert_same(store.load("anna"), profile)


@pytest.mark.parametrize("kept", [0, 1, 100, 1_000, -1])
def test_a_truncated_file_is_refused(store, profile, kept):
    store.save(profile)
    path = file_of(store, "anna")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ProfileError, match="enroll the voice again"):
        store.load("anna")


@pytest.mark.parametrize("content", [b"[]", b"7", b"\x00\xff\xfe", b"{}", b"[" * 100_000])
def test_a_file_that_was_never_a_profile_is_refused(store, profile, content):
    store.save(profile)
    file_of(store, "anna").write_bytes(content)
    with pytest.raises(ProfileError, match="damaged or not a voice profile"):
        store.load("anna")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"model_id": "pvqe-s', '"model_id": "pvqe-x'),
        ("9.5", "9.6"),
        ('"embedding": "', '"embedding": "AAAA'),
    ],
)
def test_a_changed_file_is_refused(store, profile, old, new):
    store.save(profile)
    path = file_of(store, "anna")
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(ProfileError, match="wrong checksum"):
        store.load("anna")


def test_a_newer_format_is_refused_as_such(store, profile):
    store.save(profile)
    rewrite(file_of(store, "anna"), schema_version=3)
    with pytest.raises(
        ProfileError, match="format 3, this program reads 2: install the release that made it, or enroll"
    ):
        store.load("anna")


def more(profile, embedding, speech_seconds, snr_db, microphone="", agreement=None):
    """The profile with one more recording."""
    added = Recording(embedding, embedding, speech_seconds, snr_db, microphone, agreement=agreement)
    return profile.with_recording(added, profile.model_id)


def test_recordings_are_combined_by_their_seconds_of_speech(store, profile):
    other = np.random.default_rng(2).standard_normal(256).astype(np.float32)
    both = more(profile, other, 28.5, 11.25, "USB headset", agreement=0.75)
    np.testing.assert_allclose(both.embedding, 0.25 * profile.embedding + 0.75 * other, rtol=1e-5)
    assert (both.speech_seconds, both.snr_db, both.created) == (38.0, 16.2, profile.created)
    assert [recording.microphone for recording in both.recordings] == ["", "USB headset"]
    assert [recording.agreement for recording in both.recordings] == [None, 0.75]
    np.testing.assert_array_equal(profile.recordings[0].embedding, profile.embedding)
    store.save(both)
    assert_same(store.load("anna"), both)


def test_recordings_beyond_the_most_are_merged_and_the_combination_stays_the_same(store, profile):
    random = np.random.default_rng(3)
    embeddings = random.standard_normal((MOST_RECORDINGS + 8, 256)).astype(np.float32)
    seconds = random.uniform(1, 10, len(embeddings)).round(2)
    profile = of_one(embeddings[0], seconds[0])
    for embedding, speech_seconds in zip(embeddings[1:], seconds[1:], strict=True):
        profile = more(profile, embedding, speech_seconds, 20.0, "desk")
    assert len(profile.recordings) == MOST_RECORDINGS
    np.testing.assert_allclose(profile.embedding, np.average(embeddings, 0, seconds), atol=1e-5)
    assert profile.speech_seconds == pytest.approx(seconds.sum())
    store.save(profile)
    assert_same(store.load("anna"), profile)


def test_what_does_not_belong_together_is_refused(profile):
    with pytest.raises(ProfileError, match="different models"):
        more(profile, np.ones(128, np.float32), 9.0, 20.0)
    with pytest.raises(ProfileError, match="made with model pvqe-s-0123456789ab, not with pvqe-s-of-another"):
        profile.with_recording(profile.recordings[0], "pvqe-s-of-another")
    with pytest.raises(ProfileError, match="different models"):
        dataclasses.replace(profile, recordings=())
    for created in ("yesterday", "2026-13-01T00:00:00", "0000-01-01T00:00:00", None):
        with pytest.raises(ProfileError, match="no date and time"):
            dataclasses.replace(profile.recordings[0], created=created)
    with pytest.raises(ProfileError, match="can't be true"):
        more(profile, profile.embedding, 9.0, -np.inf)


def test_a_microphones_name_can_not_speak_to_the_terminal(profile):
    added = more(profile, profile.embedding, 9.0, 20.0, "desk\x1b[2J\n" + 200 * "k")
    assert added.recordings[1].microphone == "desk[2J" + 93 * "k"


@pytest.mark.parametrize(
    "changes",
    [
        {"embedding": "not base64!"},
        {"embedding": base64.b64encode(b"12345").decode()},
        {"embedding": base64.b64encode(np.full(256, np.inf, "<f4").tobytes()).decode()},
        {"model_id": 7},
        {"created": "yesterday"},
        {"snr_db": None},
        {"speech_seconds": -1},
        {"microphone": 7},
        {"agreement": "good"},
        {"recordings": {}},
        {"recordings": []},
        {"recordings": 40 * [{}]},
        {"recordings": [7]},
    ],
)
def test_a_file_with_a_good_checksum_over_bad_content_is_refused(store, profile, changes):
    store.save(profile)
    path = file_of(store, "anna")
    (recording,) = json.loads(path.read_text())["recordings"]
    whole = {key: value for key, value in changes.items() if key in ("model_id", "recordings")}
    rewrite(path, **{"recordings": [recording | changes], **whole})
    with pytest.raises(ProfileError, match="enroll the voice again"):
        store.load("anna")


def test_a_profile_of_another_model_is_loaded_but_not_used(store, profile, model):
    store.save(profile)
    with pytest.raises(ProfileError, match="pvqe-s-0123456789ab"):
        Enhancer(model, store.load("anna"))


FORBIDDEN_NAMES = [
    *("", ".", "..", "../anna", "a/b", "/etc/passwd", "a\\b", ".hidden"),
    *("anna\n", "a\0b", "a b", "annä", "a+b", "a" * 65),
]


@pytest.mark.parametrize("name", FORBIDDEN_NAMES)
def test_names_that_could_lead_elsewhere_are_refused_everywhere(store, profile, tmp_path, name):
    store.save(profile)
    store.export("anna", tmp_path / "anna.json")
    inside, outside = names_in(store.root), names_in(tmp_path)
    for attempt in (
        lambda: store.save(dataclasses.replace(profile, name=name)),
        lambda: store.load(name),
        lambda: store.delete(name),
        lambda: store.export(name, tmp_path / "out.json"),
        lambda: store.import_(tmp_path / "anna.json", name=name),
    ):
        with pytest.raises(ProfileError, match="is no name for a profile"):
            attempt()
    assert (names_in(store.root), names_in(tmp_path)) == (inside, outside)


def test_a_file_whose_own_name_leads_elsewhere_is_not_imported(store, profile, tmp_path):
    store.save(profile)
    store.export("anna", tmp_path / "evil.json")
    rewrite(tmp_path / "evil.json", name="../../evil")
    with pytest.raises(ProfileError, match="is no name for a profile"):
        store.import_(tmp_path / "evil.json")
    assert store.import_(tmp_path / "evil.json", name="tamed").name == "tamed"


@pytest.mark.parametrize("name", ["a", "Anna-2", "anna_b", "9lives", "anna.at.work", "a" * 64])
def test_ordinary_names_work(store, profile, name):
    store.save(dataclasses.replace(profile, name=name))
    assert store.list() == [name]
    assert store.load(name).name == name


def test_listing_is_alphabetical_and_ignores_other_files(store, profile):
    assert store.list() == []
    for name in ("carl", "anna", "bert"):
        store.save(dataclasses.replace(profile, name=name))
    (store.root / "notes.txt").write_text("mine")
    (store.root / ".secret.profile.json").write_text("{}")
    assert store.list() == ["anna", "bert", "carl"]


def test_deleting_removes_one_profile(store, profile):
    store.save(profile)
    store.save(dataclasses.replace(profile, name="bert"))
    store.delete("anna")
    assert store.list() == ["bert"]
    for attempt in (store.delete, store.load):
        with pytest.raises(ProfileError, match="There is no profile 'anna'"):
            attempt("anna")


def test_a_renamed_file_is_a_renamed_profile(store, profile):
    store.save(profile)
    file_of(store, "anna").rename(file_of(store, "work"))
    assert store.load("work").name == "work"


def test_export_and_import_carry_a_profile_to_another_store(store, profile, tmp_path):
    store.save(profile)
    store.export("anna", tmp_path / "carried.json")
    elsewhere = ProfileStore(tmp_path / "elsewhere")
    assert_same(elsewhere.import_(tmp_path / "carried.json"), profile)
    assert_same(elsewhere.load("anna"), profile)
    with pytest.raises(ProfileError, match="There is a profile 'anna' already"):
        elsewhere.import_(tmp_path / "carried.json")
    elsewhere.import_(tmp_path / "carried.json", name="anna-2")
    assert elsewhere.list() == ["anna", "anna-2"]


def test_export_to_an_impossible_place_leaves_nothing(store, profile, tmp_path):
    store.save(profile)
    (tmp_path / "directory").mkdir()
    for place in (tmp_path / "missing" / "anna.json", tmp_path / "directory"):
        with pytest.raises(ProfileError, match="Nothing was changed"):
            store.export("anna", place)
    assert names_in(tmp_path) == ["directory", "profiles"]


def test_import_of_what_is_not_there(store, tmp_path):
    with pytest.raises(ProfileError, match="No such file"):
        store.import_(tmp_path / "missing.json")
    with pytest.raises(ProfileError, match="Is a directory"):
        store.import_(tmp_path)


def test_profiles_live_under_edge_pse_home_or_the_users_data_directory(home, profile, monkeypatch, tmp_path):
    ProfileStore().save(profile)
    assert (home / "profiles" / "anna.profile.json").is_file()
    monkeypatch.delenv("EDGE_PSE_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    assert ProfileStore().root == tmp_path / "xdg" / "edge-pse" / "profiles"

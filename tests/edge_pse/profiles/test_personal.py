"""Personal weights beside a profile: what a file of them may hold, and what becomes of it in the store."""

import dataclasses
import io
import json
import os
import signal
import stat
import warnings
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from edge_pse import EdgePseWarning, Profile, ProfileStore
from edge_pse.errors import ProfileError
from edge_pse.profiles import PersonalFile, PersonalNetwork, PersonalWeights, Recording, archive
from edge_pse.profiles.encoding import encode

SENTENCES = ("Others of your sex: 1.3 dB more.", "Others alone: 12 dB more.", "Noise: as before.")


def made(name, value=1.0):
    recording = Recording(np.full(256, value), np.full(256, value / 3), speech_seconds=9.5, snr_db=31.0)
    return Profile(name, "pvqe-s-0123456789ab", (recording,))


def learnt(profile, network="pvqe-s", value=1):
    """Personal weights of one network for a profile; not those of any model that ships."""
    files = {
        f"{network}.{kind}": PersonalFile(64 * digit, bytes([value]) * 4000)
        for kind, digit in (("int8.tflite", "a"), ("fp32.onnx", "b"))
    }
    details = PersonalNetwork(
        "pvqe-s-0123456789ab", "2025-11-29T12:00:00+00:00", 60.5, 9.8, 1, SENTENCES, {"gain_db": 1.3}, files
    )
    return PersonalWeights(profile.id, {network: details})


def personal(name, value=1.0):
    profile = made(name, value)
    return dataclasses.replace(profile, personal=learnt(profile))


@pytest.fixture
def store(tmp_path):
    return ProfileStore(tmp_path / "home" / "profiles")


@pytest.fixture(autouse=True)
def no_warning_is_overlooked():
    with warnings.catch_warnings():
        warnings.simplefilter("error", EdgePseWarning)
        yield


def assert_same(one, other):
    assert one.fingerprint == other.fingerprint
    assert one.entries() == other.entries()


def test_what_is_encoded_is_decoded_as_it_was():
    profile = made("anna")
    weights = learnt(profile)
    again = PersonalWeights.decode(weights.encode())
    assert_same(again, weights)
    network = again.networks["pvqe-s"]
    assert (network.reading_seconds, network.minutes, network.against) == (60.5, 9.8, 1)
    assert (network.sentences, network.scores) == (SENTENCES, {"gain_db": 1.3})
    assert again.fits(profile) and again.fits(dataclasses.replace(profile, name="b"))
    assert not again.fits(made("anna", 1.0001))
    assert learnt(profile, value=2).fingerprint != weights.fingerprint
    with zipfile.ZipFile(io.BytesIO(weights.encode())) as packed:
        assert packed.namelist() == ["personal.json", "pvqe-s.int8.tflite", "pvqe-s.fp32.onnx"]


def test_networks_of_one_voice_are_kept_together_and_those_of_another_are_not():
    profile = made("anna")
    weights = learnt(profile).merged(learnt(profile, "pvqe-xs", 2)).merged(learnt(profile, value=3))
    assert list(weights.networks) == ["pvqe-s", "pvqe-xs"]
    assert_same(weights.of("pvqe-xs"), learnt(profile, "pvqe-xs", 2))
    assert_same(weights.without("pvqe-xs"), learnt(profile, value=3))
    assert weights.of("pvqe-s").without("pvqe-s") is None
    other = learnt(made("anna", 2.0), "pvqe-xs")
    assert weights.merged(other) is other


def zipped(entries, **options):
    content = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(content, "w", **options) as packed:
        warnings.simplefilter("ignore", UserWarning)
        for name, entry in entries:
            packed.writestr(name, entry)
    return content.getvalue()


def changed(**fields):
    """Entries whose index says something else."""
    entries = learnt(made("anna")).entries()
    index = json.loads(entries["personal.json"])
    network = index["networks"]["pvqe-s"]
    for name, value in fields.items():
        holder = index if name in index else network
        holder[name] = value
    return [*{**entries, "personal.json": json.dumps(index).encode()}.items()]


ENTRIES = [*learnt(made("anna")).entries().items()]
WHOLE = learnt(made("anna")).encode()
DAMAGED = {
    "empty": b"",
    "cut off": WHOLE[:-1],
    "half": WHOLE[: len(WHOLE) // 2],
    "a bit of the weights": WHOLE[:3000] + bytes([WHOLE[3000] ^ 1]) + WHOLE[3001:],
    "something behind": WHOLE + b"\0",
    "with a directory of any size": WHOLE[:-22] + b"PK\x06\x07" + bytes(16) + WHOLE[-22:],
    "another file": b"\x7fELF" + bytes(5000),
    "compressed": zipped(ENTRIES, compression=zipfile.ZIP_DEFLATED),
    "a bomb": zipped([(name, bytes(8 << 20)) for name, _ in ENTRIES[:1]], compression=zipfile.ZIP_DEFLATED),
    "too many": zipped([*ENTRIES, *((f"{number}", b"") for number in range(100))]),
    "twice": zipped([*ENTRIES, ENTRIES[1]]),
    "one more": zipped([*ENTRIES, ("pvqe-s.int8.onnx", b"1")]),
    "elsewhere": zipped([*ENTRIES, ("../../.bashrc", b"1")]),
    "one less": zipped(ENTRIES[:2]),
    "no index": zipped(ENTRIES[1:]),
    "index is no JSON": zipped([("personal.json", b"{"), *ENTRIES[1:]]),
    "index is a list": zipped([("personal.json", b"[]"), *ENTRIES[1:]]),
    "index is deep": zipped([("personal.json", b"[" * 200_000), *ENTRIES[1:]]),
    "index is large": zipped([("personal.json", b" " * (300 << 10)), *ENTRIES[1:]]),
    "other weights": zipped([*ENTRIES[:2], (ENTRIES[2][0], bytes(4000))]),
    "later format": zipped(changed(schema_version=2)),
    "no profile": zipped(changed(profile_id="x")),
    "no networks": zipped(changed(networks={})),
    "networks are none": zipped(changed(networks=[1])),
    "no model": zipped(changed(model_id="../x")),
    "long model": zipped(changed(model_id=200 * "x")),
    "no moment": zipped(changed(created="\x1b[2J")),
    "endless reading": zipped(changed(reading_seconds=10**400)),
    "negative": zipped(changed(minutes=-1)),
    "not a number": zipped(changed(minutes="1")),
    "truth": zipped(changed(against=True)),
    "too much to say": zipped(changed(sentences=100 * ["x"])),
    "said by nobody": zipped(changed(sentences=[1])),
    "no scores": zipped(changed(scores=None)),
    "no files": zipped(changed(files={})),
    "files of nothing": zipped(changed(files={"pvqe-s.int8.tflite": None})),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGED)
def test_what_is_damaged_or_foreign_is_refused_in_a_sentence_and_the_profile_stays(store, kind, tmp_path):
    with pytest.raises(ProfileError) as error:
        PersonalWeights.decode(DAMAGED[kind])
    assert len(str(error.value)) < 250 and str(error.value).isprintable()
    store.save(personal("anna"))
    (store.root / "anna.personal").write_bytes(DAMAGED[kind])
    with pytest.warns(EdgePseWarning, match="'anna' goes without its personal weights"):
        profile = store.load("anna")
    assert profile.id == made("anna").id and profile.personal is None
    # The same as an export, where it has a profile beside it or stands alone.
    exported = tmp_path / "export"
    exported.write_bytes(DAMAGED[kind])
    with pytest.raises(ProfileError):
        store.import_(exported, "bert")
    assert store.list() == ["anna"]


def test_what_is_too_large_is_not_read(store, tmp_path):
    store.save(personal("anna"))
    with (store.root / "anna.personal").open("r+b") as file:
        file.truncate(1 << 40)  # it has a hole, and no disk is that large
    with pytest.warns(EdgePseWarning, match="too large"):
        assert store.load("anna").personal is None
    with pytest.raises(ProfileError, match="too large"):
        store.import_(store.root / "anna.personal", "bert")
    profile = made("bert")
    huge = PersonalFile(64 * "a", bytes(archive.MOST_BYTES))
    network = dataclasses.replace(learnt(profile).networks["pvqe-s"], files={"pvqe-s.int8.tflite": huge})
    weights = PersonalWeights(profile.id, {"pvqe-s": network})
    with pytest.raises(ProfileError, match="can't be kept: it is too large"):
        store.save(dataclasses.replace(profile, personal=weights))
    assert store.list() == ["anna"]


def test_sentences_can_not_speak_to_the_terminal():
    weights = PersonalWeights.decode(zipped(changed(sentences=["a\x1b[2Jb\n" + 1000 * "c"])))
    (sentence,) = weights.networks["pvqe-s"].sentences
    assert sentence.startswith("a[2Jbc") and len(sentence) == 300


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"pvqe-xs.int8.tflite": PersonalFile(64 * "a", b"1")},
        {"personal.json": PersonalFile(64 * "a", b"1")},
        {"pvqe-s.x/../y": PersonalFile(64 * "a", b"1")},
        {f"pvqe-s.{number}": PersonalFile(64 * "a", b"1") for number in range(20)},
    ],
)
def test_files_of_other_names_are_refused(files):
    profile = made("anna")
    with pytest.raises(ProfileError, match="make them again"):
        network = dataclasses.replace(learnt(profile).networks["pvqe-s"], files=files)
        PersonalWeights(profile.id, {"pvqe-s": network})


def test_a_profile_is_loaded_with_its_weights_and_deleted_with_them(store, names_in):
    store.create(personal("anna"))
    assert names_in(store.root) == [".lock", "anna.personal", "anna.profile.json"]
    assert store.list() == ["anna"]
    profile = store.load("anna")
    assert_same(profile.personal, learnt(profile))
    assert profile.general().personal is None and profile.general().id == profile.id
    store.delete("anna")
    assert names_in(store.root) == [".lock"]


def test_the_file_is_its_users_alone_whatever_the_umask(store, tmp_path):
    previous = os.umask(0)
    try:
        store.save(personal("anna"))
        store.export("anna", tmp_path / "anna")
    finally:
        os.umask(previous)
    for path in (store.root / "anna.personal", tmp_path / "anna"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_profile_that_is_replaced_takes_its_weights_with_it_and_one_that_grows_does_not(store, names_in):
    store.save(personal("anna"))
    added = store.update(
        "anna", lambda known: known.with_recording(made("x", 2.0).recordings[0], known.model_id)
    )
    assert not added.personal.fits(added)
    # They are there to go on from, and to be asked about.
    again = store.load("anna")
    assert_same(again.personal, learnt(made("anna")))
    store.update("anna", lambda known: dataclasses.replace(known, personal=learnt(known, value=3)))
    assert store.load("anna").personal.fits(added)
    store.update("anna", Profile.general)
    assert names_in(store.root) == [".lock", "anna.profile.json"]
    store.save(personal("anna"))
    store.save(made("anna", 2.0))
    assert names_in(store.root) == [".lock", "anna.profile.json"]


def test_a_change_of_something_else_leaves_damaged_weights_as_they_are(store):
    store.save(personal("anna"))
    (store.root / "anna.personal").write_bytes(WHOLE[:-9])
    with pytest.warns(EdgePseWarning):
        store.update("anna", lambda known: known)
    assert (store.root / "anna.personal").read_bytes() == WHOLE[:-9]


def test_with_a_name_that_is_taken_nothing_is_written(store):
    store.save(made("anna"))
    with pytest.raises(ProfileError, match="already"):
        store.create(personal("anna"))
    assert store.load("anna").personal is None


def test_both_travel_in_one_file_and_an_earlier_kind_is_taken_too(store, tmp_path):
    store.save(personal("anna"))
    file, plain = tmp_path / "anna.voice", tmp_path / "anna.json"
    store.export("anna", file)
    store.export("anna", plain, general=True)
    assert json.loads(plain.read_bytes())["name"] == "anna"
    elsewhere = ProfileStore(tmp_path / "elsewhere")
    taken = elsewhere.import_(file, "clara")
    assert_same(taken.personal, learnt(made("anna")))
    assert_same(elsewhere.load("clara").personal, learnt(made("anna")))
    with pytest.raises(ProfileError, match="already"):
        elsewhere.import_(file, "clara")
    assert elsewhere.import_(plain).personal is None
    assert elsewhere.list() == ["anna", "clara"]
    elsewhere.export("clara", tmp_path / "again")
    assert elsewhere.import_(tmp_path / "again", "dora").personal.fingerprint == taken.personal.fingerprint


def test_weights_that_no_longer_fit_stay_at_home(store, tmp_path):
    store.save(personal("anna"))
    store.update("anna", lambda known: known.with_recording(made("x", 2.0).recordings[0], known.model_id))
    store.export("anna", tmp_path / "anna")
    assert json.loads((tmp_path / "anna").read_bytes())["name"] == "anna"


def test_what_only_an_earlier_export_holds_stays(store, tmp_path):
    file = tmp_path / "anna"
    store.save(personal("anna"))
    store.export("anna", file)
    store.export("anna", file)
    with_weights = file.read_bytes()
    with pytest.raises(ProfileError, match="holds personal weights, which would be lost"):
        store.export("anna", file, general=True)
    store.update("anna", lambda known: known.with_recording(made("x", 2.0).recordings[0], known.model_id))
    with pytest.raises(ProfileError, match="holds personal weights, which would be lost"):
        store.export("anna", file)
    assert file.read_bytes() == with_weights
    plain = tmp_path / "plain"
    store.export("anna", plain)
    store.update("anna", lambda known: known.with_recording(made("x", 3.0).recordings[0], known.model_id))
    store.export("anna", plain)  # it has grown
    assert len(json.loads(plain.read_bytes())["recordings"]) == 3
    store.delete("anna")
    store.save(made("anna", 4.0))  # another one of that name
    with pytest.raises(ProfileError, match="holds another voice of that name"):
        store.export("anna", plain)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({**learnt(made("anna")).entries()}, "there is no profile in it"),
        ({"profile.json": encode(made("anna", 2.0)), **learnt(made("anna")).entries()}, "of another voice"),
        ({"profile.json": encode(made("anna"))}, "damaged or none"),
        (
            {"profile.json": encode(made("anna"))[:-9], **learnt(made("anna")).entries()},
            "damaged or not a voice",
        ),
    ],
)
def test_an_export_whose_parts_do_not_belong_together_is_refused(store, tmp_path, entries, message):
    (tmp_path / "file").write_bytes(archive.pack(entries))
    with pytest.raises(ProfileError, match=message):
        store.import_(tmp_path / "file")
    assert store.list() == []


def killed_at(step, store, what):
    """Do it in a process that is killed before its ``step``-th call that changes a disk -> whether it was."""
    child = os.fork()
    if child == 0:
        count = 0

        def dying(function):
            def call(*arguments, **options):
                nonlocal count
                count += 1
                if count == step:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*arguments, **options)

            return call

        for owner, name in ((os, "fsync"), (Path, "replace"), (Path, "unlink")):
            setattr(owner, name, dying(getattr(owner, name)))
        with suppress(BaseException):
            {
                "create": lambda: store.create(personal("bert")),
                "save": lambda: store.save(personal("anna", 2.0)),
                "delete": lambda: store.delete("anna"),
            }[what]()
            os._exit(0)
        os._exit(1)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert ended in (0, -signal.SIGKILL)
    return ended != 0


@pytest.mark.parametrize("what", ["create", "save", "delete"])
def test_a_kill_between_the_files_leaves_what_fits_together_or_is_not_used(tmp_path, what, names_in):
    step, outcomes = 0, set()
    while True:
        step += 1
        store = ProfileStore(tmp_path / str(step))
        store.save(personal("anna"))
        killed = killed_at(step, store, what)
        for name in store.list():
            profile = store.load(name)  # whole, and without a warning of damage
            fits = profile.personal is not None and profile.personal.fits(profile)
            outcomes.add((name, round(float(profile.embedding[0])), fits))
        assert not [name for name in names_in(store.root) if name.endswith(".tmp")]
        if not killed:
            break
    assert step > 2
    expected = {
        "create": {("anna", 1, True), ("bert", 1, False), ("bert", 1, True)},
        "save": {("anna", 1, True), ("anna", 2, False), ("anna", 2, True)},
        "delete": {("anna", 1, True), ("anna", 1, False)},
    }[what]
    assert outcomes == expected


def test_a_full_disk_changes_nothing(small_disk, fill):
    store = ProfileStore(small_disk / "profiles")
    store.save(personal("anna"))
    before = (store.root / "anna.profile.json").read_bytes()
    fill(small_disk)
    for change in (
        lambda: store.save(personal("anna", 2.0)),
        lambda: store.create(personal("bert")),
    ):
        with pytest.raises(ProfileError, match="Nothing was changed"):
            change()
    assert store.list() == ["anna"]
    assert (store.root / "anna.profile.json").read_bytes() == before
    assert store.load("anna").personal.fits(made("anna"))

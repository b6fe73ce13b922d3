"""The store when several programs use it at once, are killed or stopped, and in folders that are not private."""

import dataclasses
import os
import signal
import stat
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from edge_pse import Profile, ProfileStore
from edge_pse.diagnosis.voices import profiles as doctor
from edge_pse.errors import ProfileError
from edge_pse.profiles import PersonalFile, PersonalNetwork, PersonalWeights, Recording, folder

MODEL = "pvqe-s-0123456789ab"


@pytest.fixture
def store(tmp_path):
    return ProfileStore(tmp_path / "home" / "profiles")


def made(name, value=1.0):
    recording = Recording(np.full(256, value), np.full(256, value), speech_seconds=9.5, snr_db=31.0)
    return Profile(name, MODEL, (recording,))


PROGRAM = """
import dataclasses, sys, time
from pathlib import Path
import numpy as np
from edge_pse import Profile, ProfileStore, atomic
from edge_pse.errors import ProfileError
from edge_pse.profiles import Recording

store, number = ProfileStore(Path(sys.argv[1])), int(sys.argv[2])
write = atomic.write

def slow(*arguments, **options):
    time.sleep(0.1)  # between reading and writing
    write(*arguments, **options)

def mine(name):
    return Profile(name, "pvqe-s-0123456789ab", (recording(),))

def recording():
    return Recording(np.full(256, number), np.full(256, number), speech_seconds=number, snr_db=9.0)

def add(known):
    return known.with_recording(recording(), known.model_id)

atomic.write = slow
print("ready", flush=True)
sys.stdin.readline()
try:
    {work}
except ProfileError as error:
    print(error)
else:
    print("done")
"""


@pytest.fixture
def together(store, tmp_path):
    """``together("store.create(mine('anna'))", count)`` -> what each of the processes that did it at once has said."""

    def run(work, count=2):
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", PROGRAM.replace("{work}", work), str(store.root), str(number)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=tmp_path,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )
            for number in range(1, count + 1)
        ]
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            process.stdin.write("\n")
            process.stdin.flush()
        return [process.communicate(timeout=60)[0].strip() for process in processes]

    return run


def test_of_two_that_make_the_same_name_the_second_is_told(store, together):
    said = together("store.create(mine('anna'))")
    assert sorted(said)[1] == "done"
    assert "There is a profile 'anna' already" in sorted(said)[0]
    assert store.load("anna").speech_seconds == 1 + said.index("done")


def test_of_two_that_import_the_same_file_the_second_is_told(store, together, tmp_path):
    elsewhere = ProfileStore(tmp_path / "elsewhere")
    elsewhere.save(made("anna"))
    elsewhere.export("anna", tmp_path / "anna.json")
    said = together("store.import_('anna.json')")
    assert sorted(said)[1] == "done"
    assert "already" in sorted(said)[0]


def test_what_several_add_at_once_is_all_there(store, together):
    store.save(made("anna"))
    assert together("[store.update('anna', add) for _ in range(3)]", count=3) == 3 * ["done"]
    added = [recording.speech_seconds for recording in store.load("anna").recordings]
    assert sorted(added) == [1, 1, 1, 2, 2, 2, 3, 3, 3, 9.5]


def test_a_profile_that_is_deleted_meanwhile_does_not_come_back(store, together):
    store.save(made("anna"))
    said = together(
        "time.sleep(0.05 * (number - 1)); (store.update('anna', add) if number == 1 else store.delete('anna'))"
    )
    assert said[1] == "done"
    assert store.list() == []


def test_a_change_that_fails_changes_nothing(store):
    store.save(made("anna"))

    def fail(profile):
        raise ProfileError("no")

    with pytest.raises(ProfileError, match="no"):
        store.update("anna", fail)
    assert len(store.load("anna").recordings) == 1
    with pytest.raises(ProfileError, match="There is no profile 'bert'"):
        store.update("bert", lambda profile: profile)
    # The name is the one that was asked for, and the lock is free again.
    store.update("anna", lambda profile: dataclasses.replace(profile, name="bert"))
    assert store.list() == ["anna"]


def test_where_earlier_weights_can_not_be_removed_nobody_says_that_nothing_was_changed(store):
    store.save(made("anna", 1.0))
    store.files("anna")[1].mkdir()
    with pytest.raises(ProfileError, match=r"was written, but .*anna\.personal can't be removed"):
        store.save(made("anna", 2.0))
    assert store.load("anna", general=True).embedding[0] == 2


def test_recordings_of_another_model_are_not_added(store):
    store.save(made("anna"))
    recording = Recording(np.ones(256), np.ones(256), 9.0, 20.0)
    with pytest.raises(ProfileError, match="made with model"):
        store.update("anna", lambda known: known.with_recording(recording, "pvqe-s-of-another"))


WRITER = """
import sys
from pathlib import Path
import numpy as np
from edge_pse import Profile, ProfileStore, atomic
from edge_pse.profiles import Recording

def stopped(path):
    print("half way", flush=True)
    sys.stdin.read()

atomic.os.fsync = stopped  # the file is written, and not yet in its place
store = ProfileStore(Path(sys.argv[1]))
recording = Recording(np.full(256, 2.0), np.full(256, 2.0), speech_seconds=9.0, snr_db=9.0)
store.save(Profile("anna", "pvqe-s-0123456789ab", (recording,)))
"""


@pytest.fixture
def writer(store, names_in):
    """A process in the middle of writing the profile ``anna``."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(store.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "half way\n"
    assert len(names_in(store.root)) == 2
    yield process
    process.kill()
    process.communicate()


def end(process):
    process.kill()
    process.wait()


def test_what_a_killed_writer_left_is_gone_after_the_next_command(store, writer, names_in):
    end(writer)
    assert len(names_in(store.root)) == 2
    assert store.list() == []
    assert names_in(store.root) == [".lock"]


def test_delete_leaves_nothing_of_a_voice(store, writer, names_in, monkeypatch):
    end(writer)
    store.save(made("anna"))
    (store.root / ".k3j2h1.tmp").write_bytes(b"of another program")
    store.delete("anna")
    assert names_in(store.root) == [".lock"]
    assert (store.root / ".lock").read_bytes() == b""


def test_reading_does_not_wait_for_a_writer_and_leaves_its_file_alone(store, writer, names_in):
    before = time.monotonic()
    assert store.list() == []
    assert time.monotonic() - before < 1
    writer.communicate("")
    assert writer.returncode == 0
    assert store.load("anna").speech_seconds == 9.0


def learnt(profile):
    file = PersonalFile(64 * "0", b"weights")
    network = PersonalNetwork(MODEL, "2026-01-01T00:00:00", 60.0, 9.8, 0, (), {}, {"pvqe-s.fp32.onnx": file})
    return dataclasses.replace(profile, personal=PersonalWeights(profile.id, {"pvqe-s": network}))


def test_a_profile_whose_weights_are_being_written_is_read_and_exported_with_those_that_fit(store, tmp_path):
    later = ProfileStore(tmp_path / "later")
    store.save(learnt(made("anna", 1.0)))
    later.save(learnt(made("anna", 2.0)))
    halfway = threading.Event()

    def write():
        with folder.locked(store.root):
            for source, target in zip(later.files("anna"), store.files("anna"), strict=True):
                source.replace(target)
                halfway.set()
                time.sleep(0.3)

    writer = threading.Thread(target=write)
    writer.start()
    halfway.wait()
    store.export("anna", tmp_path / "exported")
    profile = store.import_(tmp_path / "exported", "bert")
    writer.join()
    assert profile.embedding[0] == 2 and profile.personal is not None


def test_a_program_that_was_stopped_is_not_waited_for_without_end(store, writer, monkeypatch):
    monkeypatch.setattr(folder, "PATIENCE_S", 0.3)
    writer.send_signal(signal.SIGSTOP)
    for change in (lambda: store.save(made("bert")), lambda: store.create(made("bert"))):
        with pytest.raises(ProfileError, match=r"Another program .* end it if it was stopped"):
            change()
    assert store.list() == []
    end(writer)
    store.save(made("bert"))  # nothing has to be tidied up first
    assert store.list() == ["bert"]


def test_where_the_system_has_no_locks_it_works(store, monkeypatch):
    monkeypatch.setattr(folder, "fcntl", None)
    store.create(made("anna"))
    store.update("anna", lambda profile: profile)
    store.delete("anna")
    assert store.list() == []


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_all_folders_that_are_made_are_closed_to_others(tmp_path):
    root = tmp_path / "a" / "b" / "profiles"
    previous = os.umask(0)
    try:
        ProfileStore(root).save(made("anna"))
    finally:
        os.umask(previous)
    for made_folder in (root, root.parent, root.parent.parent):
        assert mode_of(made_folder) == 0o700
    assert {mode_of(path) for path in root.iterdir()} == {0o600}


@pytest.mark.parametrize("use", ["list", "load", "save"])
def test_an_open_folder_is_closed_before_it_is_used(store, use):
    store.save(made("anna"))
    store.root.chmod(0o777)
    {"list": store.list, "load": lambda: store.load("anna"), "save": lambda: store.save(made("bert"))}[use]()
    assert mode_of(store.root) == 0o700


def test_a_folder_in_which_everybody_could_replace_it_is_refused(store):
    store.save(made("anna"))
    store.root.parent.chmod(0o777)
    for use in (store.list, lambda: store.load("anna"), lambda: store.save(made("bert"))):
        with pytest.raises(ProfileError, match=r"Everybody may write in .*: chmod o-w "):
            use()
    assert doctor(store).status == "fail"
    assert f"chmod o-w {store.root.parent}" in doctor(store).sentence
    store.root.parent.chmod(0o1777)  # as /tmp, where nobody can move what is another's
    assert store.list() == ["anna"]
    store.root.parent.chmod(0o755)
    assert store.list() == ["anna"]


def test_the_folder_of_another_user_is_not_used(store):
    if os.geteuid() != 0:
        pytest.skip("giving a folder to another user needs root")
    store.save(made("anna"))
    os.chown(store.root, 12345, 12345)
    with pytest.raises(ProfileError, match=r"belong to another user \(number 12345\)"):
        store.save(made("bert"))
    assert doctor(store).status == "fail"
    assert store.list() == ["anna"]  # root may read what is anybody's
    os.chown(store.root, 0, 0)
    parents = [parent for parent in store.root.parents if not mode_of(parent) & stat.S_IXOTH]
    for parent in parents:
        parent.chmod(0o711)
    os.chown(store.root, 12345, 12345)
    try:
        os.seteuid(65534)
        for use in (store.list, lambda: store.load("anna"), lambda: store.save(made("bert"))):
            with pytest.raises(ProfileError, match="belong to another user"):
                use()
    finally:
        os.seteuid(0)
        for parent in parents:
            parent.chmod(0o700)


def test_a_folder_that_can_not_be_read_is_an_error_and_not_an_empty_one(store, tmp_path):
    store.root.parent.mkdir()
    store.root.write_text("a file")
    for use in (
        store.list,
        lambda: store.load("anna"),
        lambda: store.save(made("anna")),
        lambda: "anna" in store,
    ):
        with pytest.raises(ProfileError, match=r"Not a directory|File exists"):
            use()


def test_a_store_may_lie_elsewhere_behind_a_link(store, tmp_path):
    (tmp_path / "elsewhere").mkdir(mode=0o755)
    store.root.parent.mkdir()
    store.root.symlink_to(tmp_path / "elsewhere")
    store.save(made("anna"))
    assert store.list() == ["anna"]
    assert mode_of(tmp_path / "elsewhere") == 0o700
    assert store.root.is_symlink()


def test_without_a_home_there_is_a_sentence(monkeypatch, tmp_path):
    import pwd

    def nobody(uid):
        raise KeyError(uid)

    for variable in ("HOME", "XDG_DATA_HOME", "EDGE_PSE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ProfileError, match="set EDGE_PSE_HOME to a folder, or HOME"):
        ProfileStore()
    assert doctor().status == "fail"
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv("EDGE_PSE_HOME", str(tmp_path))
    assert ProfileStore().list() == []


def test_a_home_that_starts_with_a_tilde_is_the_users(monkeypatch, tmp_path):
    """As systemd gives it, which does not know what a shell makes of it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("EDGE_PSE_HOME", "~/voices")
    assert ProfileStore().root == tmp_path / "voices" / "profiles"


def test_the_home_of_nobody_is_no_folder_in_the_current_one(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGE_PSE_HOME", "~no-such-user/voices")
    with pytest.raises(
        ProfileError, match="EDGE_PSE_HOME is ~no-such-user/voices, and there is no such home"
    ):
        ProfileStore()
    assert doctor().status == "fail"
    assert list(tmp_path.iterdir()) == []


def test_where_no_folder_can_be_made_there_is_a_sentence(tmp_path, monkeypatch):
    """In a folder that is gone, as in /proc and below the mount of an absent home, the system finds nothing."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(ProfileError, match=r"Can't write profile 'a' to voices/profiles: No such file"):
        ProfileStore("voices/profiles").save(made("a"))


def waited_too_long(number, frame):
    raise TimeoutError


@pytest.mark.parametrize("kind", ["pipe", "directory", "link to a device"])
def test_what_is_no_file_is_no_profile_and_nobody_waits_for_it(store, kind, tmp_path):
    store.save(made("bert"))
    path = store.root / "anna.profile.json"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    before = path.stat()
    signal.signal(signal.SIGALRM, waited_too_long)
    signal.alarm(20)
    for use in (
        lambda: store.load("anna"),
        lambda: store.save(made("anna")),
        lambda: store.create(made("anna")),
        lambda: store.update("anna", lambda profile: profile),
        lambda: store.export("anna", tmp_path / "out"),
        lambda: store.export("bert", path),
        lambda: store.import_(path),
    ):
        with pytest.raises(ProfileError):
            use()
    signal.alarm(0)
    assert path.stat().st_ino == before.st_ino
    assert not (tmp_path / "out").exists()
    assert store.list() == ["anna", "bert"]
    if kind == "directory":
        with pytest.raises(ProfileError, match="Can't delete profile 'anna'"):
            store.delete("anna")
    else:
        store.delete("anna")
        assert store.list() == ["bert"]

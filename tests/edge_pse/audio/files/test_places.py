"""Which of many files goes where, and what is refused before anything is done."""

from pathlib import Path

import pytest

from edge_pse import AudioError
from edge_pse.audio.files.places import is_sound, jobs_of


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A folder of recordings, with what else lies about in such folders; names are relative to it."""
    monkeypatch.chdir(tmp_path)
    for name in ("day/2/b.wav", "day/1/b.flac", "day/a.Opus", "day/talk.mkv", "elsewhere/a.Opus", "one.wav"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"sound")
    for name in ("day/notes.txt", "day/._a.Opus", "day/.trash/c.wav", "day/scan.raw"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(b"none")
    return tmp_path


def places(*sources, into="out"):
    return [
        (str(job.source), str(job.target))
        for job in jobs_of([Path(source) for source in sources], Path(into))
    ]


def test_a_folder_keeps_its_structure_and_gives_its_sound_only(tree):
    assert places("day") == [
        ("day/a.Opus", "out/a.Opus"),
        ("day/talk.mkv", "out/talk.mkv.wav"),
        ("day/1/b.flac", "out/1/b.flac"),
        ("day/2/b.wav", "out/2/b.wav"),
    ]


def test_a_file_that_is_named_is_taken_whatever_it_is_called(tree):
    assert places("one.wav", "day/notes.txt") == [
        ("one.wav", "out/one.wav"),
        ("day/notes.txt", "out/notes.txt.wav"),
    ]


def test_what_is_named_twice_is_taken_once(tree):
    assert places("one.wav", "./one.wav", tree / "one.wav") == [("one.wav", "out/one.wav")]


def test_outputs_of_a_run_before_are_no_sources(tree):
    Path("day/clean").mkdir()
    Path("day/clean/a.Opus").write_bytes(b"enhanced")
    assert not [source for source, _ in places("day", into="day/clean") if "clean" in source]


def test_links_to_folders_are_not_followed(tree):
    Path("day/again").symlink_to(tree / "day")
    assert len(places("day")) == 4


def test_files_of_one_name_are_refused_and_both_are_named(tree):
    with pytest.raises(
        AudioError, match=r"take the place of the other: day/a\.Opus and elsewhere/a\.Opus\. "
    ):
        places("day", "elsewhere")
    Path("day/talk.mkv.wav").write_bytes(b"sound")
    with pytest.raises(AudioError, match=r"day/talk\.mkv and day/talk\.mkv\.wav"):
        places("day")


@pytest.mark.parametrize("into", ["day", "day/../day"])
def test_a_source_is_never_overwritten(tree, into):
    with pytest.raises(AudioError, match="is itself to be enhanced"):
        places("day", into=into)


def test_a_file_is_no_folder_to_write_into(tree):
    with pytest.raises(AudioError, match=r"one\.wav is a file: name a folder"):
        places("day", into="one.wav")


def test_a_folder_without_sound_is_no_mistake_to_pass_over(tree):
    Path("empty").mkdir()
    with pytest.raises(AudioError, match="There is no sound in empty"):
        places("day", "empty")


def test_endings_of_sound_and_of_films_are_known():
    known = (
        "a.wav",
        "a.FLAC",
        "a.oga",
        "a.aif",
        "a.m4a",
        "a.webm",
        "a.BWF",
        "a.wave",
        "a.aifc",
        "a.mp2",
        "a.spx",
    )
    assert all(is_sound(Path(name)) for name in known)
    assert not any(is_sound(Path(name)) for name in ("a", "a.txt", "a.jpg", "a.raw", "wav"))

"""Names of files that the system does not take, and a current folder that is none."""

import dataclasses

import pytest

from edge_pse import ProfileStore

TOO_LONG = "a" * 300


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("profiles", "export", "anna", TOO_LONG), "File name too long. Nothing was changed"),
        (("bench", "--model", TOO_LONG), "There is no model"),
        (("bench", "--model", f"{TOO_LONG}.tflite"), "There is no model file"),
        (("enroll", "bert", "--keep-audio", f"{TOO_LONG}/bert.wav"), "There is no folder"),
    ],
)
def test_a_name_that_is_too_long_is_refused_in_a_sentence(refused, female_profile, arguments, message):
    ProfileStore().save(dataclasses.replace(female_profile, name="anna"))
    assert message in refused(*arguments)


def test_a_name_in_a_current_folder_that_is_gone_is_refused_in_a_sentence(
    refused, fixtures, tmp_path, monkeypatch
):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for arguments in (("enhance", fixtures, "-o", "out/"), ("profiles", "export", "anna", "file")):
        assert "the current folder is gone" in refused(*arguments, status=2)

"""What a file may hold that somebody made who means no good, or that was damaged with a checksum that fits."""

import base64
import hashlib
import json

import numpy as np
import pytest

from edge_pse import Profile, ProfileStore
from edge_pse.errors import ProfileError
from edge_pse.profiles import Recording
from edge_pse.profiles.encoding import encode, read
from edge_pse.text import cleaned

BIG = 10**400


def numbers(value, count=256, kind="<f4"):
    with np.errstate(over="ignore"):
        return base64.b64encode(np.full(count, value, kind).tobytes()).decode()


@pytest.fixture
def content():
    recording = Recording(np.ones(256), np.ones(256), speech_seconds=9.5, snr_db=31.0)
    return json.loads(encode(Profile("anna", "pvqe-s-0123456789ab", (recording,))))


@pytest.fixture
def sealed(tmp_path):
    """``sealed(content)`` -> a file of it with a checksum that fits."""

    def write(content):
        content.pop("sha256", None)
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
        content["sha256"] = hashlib.sha256(canonical.encode()).hexdigest()
        path = tmp_path / "voice.json"
        path.write_text(json.dumps(content))
        return path

    return write


def refused(path):
    with pytest.raises(ProfileError) as error:
        read(path)
    assert "enroll the voice again" in str(error.value)
    assert len(str(error.value)) < 300 + len(str(path))


def test_the_file_itself_is_read(content, sealed):
    assert read(sealed(content)).speech_seconds == 9.5


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(
            ("speech_seconds", value)
            for value in (BIG, -BIG, 1e300, -1, True, "9.5", [9.5], 1e308 * 10, None)
        ),
        *(("snr_db", value) for value in (BIG, 1e300, -1e300, False, "31")),
        *(("agreement", value) for value in (BIG, 7, -7, 1e300, True, "0.5")),
        *(("embedding", numbers(value)) for value in (3e38, -3e38, 33, np.nan, np.inf)),
        *(("half_band", value) for value in (numbers(np.nan), numbers(1, 128), "", None)),
        *(
            ("embedding", value)
            for value in ("", numbers(1, 0), numbers(1, 5000), numbers(1, 3, "<f2"), 7, None)
        ),
        *(
            ("created", value)
            for value in ("0000-01-01T00:00:00", "1969-01-01T00:00:00", "2026-13-01T00:00:00")
        ),
        *(
            ("created", value)
            for value in ("2026-01-01\x1b00:00:00", "2026-01-01", "٢٠٢٦-01-01T00:00:00", 2026)
        ),
        ("created", "2026-01-01T00:00:00+00:00\n"),
        ("microphone", None),
        ("microphone", ["desk"]),
    ],
)
def test_a_recording_that_can_not_be_true_is_refused(content, sealed, field, value):
    content["recordings"][0][field] = value
    refused(sealed(content))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(
            ("model_id", value)
            for value in ("", "[/x]", "pvqe\x1b[31m", "\ud800", "a\nb", "a" * 101, "\u202ea", 7)
        ),
        *(("schema_version", value) for value in (1, 3, 2.0, BIG, True, "2", None, [2])),
        ("name", 7),
        ("recordings", {"0": {}}),
        ("recordings", [[]]),
    ],
)
def test_a_profile_that_can_not_be_true_is_refused(content, sealed, field, value):
    content[field] = value
    refused(sealed(content))


@pytest.mark.parametrize(
    "field", ["speech_seconds", "agreement", "microphone", "created", "embedding", "half_band", "snr_db"]
)
def test_no_field_may_lack(content, sealed, field):
    del content["recordings"][0][field]
    refused(sealed(content))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("9.5", "NaN"),
        ("9.5", "Infinity"),
        ("9.5", "-Infinity"),
        ("9.5", "9" * 100_000),
        ("9.5", "1e999"),
        ("9.5", "[" * 50_000 + "]" * 50_000),
        ('"snr_db"', '"speech_seconds": 9.5, "snr_db"'),
        ('"name"', '"name": "bert", "name"'),
    ],
)
def test_json_that_programs_read_differently_is_refused(content, tmp_path, old, new):
    text = json.dumps(content)
    assert text.count(old) == 1
    (tmp_path / "voice.json").write_text(text.replace(old, new))
    refused(tmp_path / "voice.json")


@pytest.mark.parametrize("length", [1 << 20, 1 << 24])
def test_a_huge_file_is_not_read_to_its_end(content, tmp_path, length):
    path = tmp_path / "voice.json"
    path.write_text(json.dumps(content) + " " * length)
    refused(path)


def test_devices_and_pipes_are_no_profiles():
    with pytest.raises(ProfileError, match="not a file"):
        ProfileStore().import_("/dev/zero")


def test_what_a_microphone_is_called_is_fit_to_be_shown(content, sealed):
    content["recordings"][0]["microphone"] = "desk\x1b[2J\u202e\ud800\n" + 200 * "k"
    (recording,) = read(sealed(content)).recordings
    assert recording.microphone.startswith("desk[2Jkkk")
    assert recording.microphone == cleaned(recording.microphone, 100)


@pytest.mark.parametrize("name", ["../../evil", "\ud800\x1b", "a" * 100_000])
def test_a_bad_name_is_told_shortly_and_can_be_replaced(content, sealed, tmp_path, name):
    store = ProfileStore(tmp_path / "profiles")
    content["name"] = name
    path = sealed(content)
    with pytest.raises(ProfileError, match="is no name for a profile") as error:
        store.import_(path)
    assert str(error.value) == cleaned(str(error.value), 300)
    assert store.import_(path, "anna").name == "anna"


@pytest.mark.parametrize("value", [BIG, float("nan"), float("inf"), 1e300])
def test_what_can_not_be_read_can_not_be_made_either(value):
    for measures in ((value, 20.0, 0.5), (9.0, value, 0.5), (9.0, 20.0, value)):
        seconds, snr_db, agreement = measures
        with pytest.raises(ProfileError, match="can't be true"):
            Recording(np.ones(256), np.ones(256), seconds, snr_db, agreement=agreement)


def test_numbers_of_a_real_voice_are_far_from_the_limits(female_profile, male_profile):
    for profile in (female_profile, male_profile):
        assert np.abs(profile.embedding).max() < 32 / 8

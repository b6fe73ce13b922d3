"""``docs/api.md`` names all that the package offers, and says what the code says.

Its snippets are run in ``tests/edge_pse/audio/test_live_examples.py``, since one of them opens devices.
"""

import re

import pytest

import edge_pse
from tests.api_page import PAGE, described, written_anew

TEXT = PAGE.read_text(encoding="utf-8")
NAMES = sorted(set(edge_pse.__all__) - {"__version__"})


def test_the_page_says_what_the_code_says():
    assert written_anew(TEXT) == TEXT, "run python -m tests.api_page"


@pytest.mark.parametrize("name", NAMES)
def test_each_public_name_is_described(name):
    assert f"<!-- api: {name} -->" in TEXT


def test_what_the_public_names_give_back_is_described():
    results = set(re.findall(r"-> (?:list\[)?([A-Z]\w+)", TEXT)) | {"Counters"}
    results |= {"FrameFeatures", "Selection", "FarEndStatus"}  # of an observer, and of fields
    offered = {marked.split(".")[-1] for marked in re.findall(r"<!-- api: ([\w.]+) -->", TEXT)}
    assert results - {"None", "Path", "Samples"} <= offered


def test_the_page_sends_nobody_to_what_it_does_not_describe():
    for name in re.findall(r"see `([\w.]+)`", TEXT):
        first = name.split(".")[0]
        assert first in NAMES or f"- `{first}" in TEXT, f"{name} is not described"
    assert "edge_pse.band" not in TEXT and "edge_pse.backends" not in TEXT


def test_a_description_holds_parameters_errors_and_members():
    enroll = described("enroll")
    assert "audio: ArrayLike,\n    sample_rate_hz: float,\n    model: Model | str | Path = 'pvqe-s'" in enroll
    assert "-> Profile" in enroll and "EnrollmentError" in enroll
    store = described("ProfileStore")
    assert "- `list() -> list[str]`: Names of all profiles" in store
    assert "- `load(name: str, general: bool = False) -> Profile`: " in store
    assert "_path" not in store
    members = described("Enhancer").split("\n- ")
    (fault,) = (member for member in members if member.startswith("`fault: str`: "))
    (strength,) = (member for member in members if member.startswith("`strength: float`: "))
    assert "Read-only." in fault and "Read-only." not in strength
    assert "ValueError outside" in strength
    assert described("SoundServerError").startswith("- `SoundServerError(AudioError)`: ")

"""Text from elsewhere, made safe to show."""

import pytest

from edge_pse.text import cleaned, shown


@pytest.mark.parametrize(
    "text", ["", "desk", "Mikrofon für Gäste (2)", "内蔵マイク", "می‌خواهم", "🎙", "a\\b", "[red]"]
)
def test_ordinary_text_stays_as_it_is(text):
    assert shown(text) == text
    assert cleaned(text, 100) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("\x9b2J", "\\x9b2J"),  # the same in one character
        ("one\ntwo\r", "one\\ntwo\\r"),
        ("a\u2028b", "a\\u2028b"),
        ("\x00\x07\x7f", "\\x00\\x07\\x7f"),
        ("safe\u202egnp.exe", "safe\\u202egnp.exe"),
        ("\u2066hidden\u2069", "\\u2066hidden\\u2069"),
        ("\udcff\ud800", "\\udcff\\ud800"),
        ("\U000e0041", "\\U000e0041"),  # a letter that nobody sees
    ],
)
def test_what_could_speak_to_the_terminal_is_spelled_out(text, expected):
    assert shown(text) == expected
    assert shown(expected) == expected
    assert len(cleaned(text, 100)) < len(text)
    shown(text).encode("utf-8")
    assert set(cleaned(text, 100)) <= set(text)
    assert shown(cleaned(text, 100)) == cleaned(text, 100)


def test_other_spaces_are_spaces():
    assert shown("1\u00a0234\u3000Hz") == "1 234 Hz"


def test_there_is_a_longest():
    assert cleaned("\x1b" + 200 * "k", 100) == 100 * "k"

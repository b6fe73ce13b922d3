"""The texts to read aloud, and which of them is shown."""

import pytest

from edge_pse.reading import language_of_locale, languages, sentences

LONG_ENOUGH = 250
"""Characters that take more than 15 seconds to read; Chinese packs two or three into one."""


@pytest.mark.parametrize("language", languages())
def test_each_language_has_three_sentences_of_more_than_fifteen_seconds(language):
    text = sentences(language)
    assert len(text) == 3
    assert sum(map(len, text)) * (3 if language == "zh" else 1) > LONG_ENOUGH
    assert len(set("".join(text).lower())) > 24
    assert all(sentence.strip() == sentence and sentence[-1] in ".。" for sentence in text)


@pytest.mark.parametrize("language", languages())
def test_each_language_has_nine_sentences_for_a_minute(language):
    text = sentences(language, 60)
    assert text[:3] == sentences(language, 20) and len(set(text)) == 9
    assert sum(map(len, text)) * (3 if language == "zh" else 1) > 3 * LONG_ENOUGH
    assert all(sentence.strip() == sentence and sentence[-1] in ".?。？؟" for sentence in text)


def test_the_languages_of_many_users_are_there():
    assert {"en", "de", "fr", "es", "it", "zh", "ar", "yo"} <= set(languages())


@pytest.mark.parametrize(
    ("settings", "language"),
    [
        ({"LANG": "de_AT.UTF-8"}, "de"),
        ({"LANG": "de_DE.UTF-8", "LC_ALL": "fr_FR.UTF-8"}, "fr"),
        ({"LANG": "it_IT", "LC_MESSAGES": "yo_NG.UTF-8"}, "yo"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "fi_FI.UTF-8"}, "en"),
        ({}, "en"),
    ],
)
def test_the_text_is_in_the_language_of_the_system_if_there_is_one(monkeypatch, settings, language):
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in settings.items():
        monkeypatch.setenv(variable, value)
    assert language_of_locale() == language

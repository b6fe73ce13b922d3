"""How words are counted, and what the gate lets through."""

import numpy as np
import pytest

from studies.assistant import Scene, Score, Sphinx, content, gated, measure, regions, score

RATE = 16_000


@pytest.mark.parametrize(
    ("said", "heard", "expected"),
    [
        ("one two three", "one two three", Score(3, 0, 0)),
        ("one two three", "", Score(0, 3, 0)),
        ("one two three", "one four three", Score(2, 1, 0)),
        ("one two three", "nine one two five three", Score(3, 2, 2)),
        ("one two three", "two three one", Score(2, 2, 1)),
        ("", "one two", Score(0, 2, 2)),
    ],
)
def test_words_are_counted_by_the_best_alignment(said, heard, expected):
    assert score(said.split(), heard.split()) == expected


def test_a_region_ends_where_it_is_quiet_for_long():
    sound = np.ones(RATE, np.float32)
    clip = np.concatenate(
        [sound, 0 * sound[: RATE // 10], sound, 0 * sound, sound, 0 * sound, sound[: RATE // 10]]
    )
    found = [(round(start / RATE, 1), round(end / RATE, 1)) for start, end in regions(clip)]
    assert found == [(0.0, 2.1), (3.1, 4.1)]


def test_the_gate_keeps_whole_regions_of_the_voice_and_no_others(model, female_profile, recording):
    own, other = recording("ls367_speech")[: 5 * RATE], recording("ls1688_speech")[: 5 * RATE]
    pause = np.zeros(RATE, np.float32)
    kept = gated(np.concatenate([own, pause, other]), female_profile, model)
    assert np.sum(kept[: own.size] ** 2) > 0.5 * np.sum(own**2)
    assert np.sum(kept[-other.size :] ** 2) < 0.5 * np.sum(other**2)


def test_each_way_of_hearing_is_a_row(model, female_profile, recording):
    pytest.importorskip("pocketsphinx", reason="the recogniser of the study is pocketsphinx")
    samples = recording("ls367_speech")[: 2 * RATE]
    header, rows = content(measure([Scene(female_profile, samples, samples)] * 2, model))
    assert [row[:2] for row in rows] == [
        ["without the television", "2"], ["as it is", "2"], ["a gate on the voice", "2"], ["**edge-pse**", "2"]
    ]  # fmt: skip
    assert rows[0][2:] == rows[1][2:] and len(header) == len(rows[0])
    assert Sphinx().hear(samples)

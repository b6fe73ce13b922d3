"""The minutes in which auto-enrollment is measured, and the tables, on a small data folder."""

import numpy as np
import pytest

from edge_pse.enrollment.automatic import Rule, Stretch
from edge_pse.voice_space import VoiceSpace
from evaluation.metrics.signal import active_rms
from studies import auto_enrollment
from studies.auto_enrollment import (
    SETTINGS,
    Minute,
    Speaker,
    StreamSimulator,
    known_table,
    rule_table,
    setting_table,
)

TWO_DIRECTIONS = np.eye(2)


@pytest.fixture(scope="module")
def simulator(data, model):
    return StreamSimulator(data, model)


@pytest.fixture(scope="module")
def speaker(simulator):
    return simulator.speaker(0)


def stretch(direction, level_db=-26.0):
    return Stretch(TWO_DIRECTIONS[direction], 3.0, 2.4, level_db, 30.0, 1.0, TWO_DIRECTIONS[direction])


def minute(speaker, *directions):
    """Three seconds each of the own voice (0) or the other one (1)."""
    ends_s = [3.0 * (number + 1) for number in range(len(directions))]
    return Minute(speaker, [stretch(d) for d in directions], ends_s, [float(d) for d in directions])


@pytest.fixture
def simple_speaker(speaker):
    own = TWO_DIRECTIONS[0]
    return Speaker(speaker.talker, speaker.other, own, own, speaker.mixture, speaker.reference, VoiceSpace())


def test_speakers_and_recordings_do_not_overlap(speaker):
    assert speaker.talker.speaker != speaker.other.speaker and speaker.talker.sex == speaker.other.sex
    assert np.linalg.norm(speaker.explicit - speaker.independent) > 0.1
    assert speaker.cosine_gap(speaker.explicit) == 0 and speaker.cosine_gap(speaker.independent) > 0


def test_in_turn_one_is_fainter_and_they_don_t_overlap(simulator, speaker):
    samples, (own, other) = simulator._stream(speaker, SETTINGS["another in turn, 10 dB fainter"])
    assert own.any() and other.any() and not (own * other).any()
    levels = [active_rms(samples.reshape(-1, 160)[who == 1].ravel()) for who in (own, other)]
    assert 20 * np.log10(levels[0] / levels[1]) == pytest.approx(10, abs=2.5)


def test_whoever_interrupts_talks_across_the_end_of_a_turn(simulator, speaker):
    _, (own, other) = simulator._stream(speaker, SETTINGS["another interrupts, 6 dB fainter"])
    assert 0.3 < (own * other).sum() / 100 < 15


def test_alone_nothing_is_foreign_and_something_is_heard(simulator, speaker, monkeypatch):
    monkeypatch.setattr(auto_enrollment, "STREAM_SECONDS", 20)
    heard = simulator.minute(speaker, SETTINGS["alone, quiet room"])
    assert len(heard.stretches) == len(heard.ends_s) >= 2
    assert heard.foreign == [0.0] * len(heard.stretches)


def test_the_time_and_the_other_voice_are_counted(simple_speaker):
    rule = Rule(enough_seconds=9.0, rivals_share=0.35)
    alone = minute(simple_speaker, 0, 0, 0, 0).until_ready(rule, known=False)
    assert (alone.seconds, alone.foreign_share) == (9.0, 0.0)
    wrong = minute(simple_speaker, 1, 1, 1)
    assert wrong.until_ready(rule, known=False).foreign_share == 1.0
    assert wrong.until_ready(rule, known=True) is None
    assert minute(simple_speaker, 0, 1, 0, 1, 0, 1).until_ready(rule, known=False) is None
    assert minute(simple_speaker, 1, 0).until_as_good() is None
    assert minute(simple_speaker, 1, 0, 0).until_as_good() == 9.0


def test_the_tables_say_how_many(simulator, simple_speaker, speaker, model):
    explicit = speaker.explicit.astype(float)
    voice = Stretch(explicit, 3.0, 2.4, -26.0, 30.0, 1.0, explicit)
    own = Minute(speaker, [voice] * 6, [3.0 * n for n in range(1, 7)], [0.0] * 6)
    row = setting_table({"alone": [own]}, simulator).splitlines()[-1].split(" | ")
    assert row[:4] == ["| alone", "3 (1)", "1 of 1", "15"]
    assert row[4].startswith(("0.00", "-0.00")) and row[5].startswith(("0.0", "-0.0"))
    several = {"both": [minute(simple_speaker, *[0] * 6), minute(simple_speaker, *[1] * 6)]}
    assert known_table(several).splitlines()[-1] == "| both | 1 of 2 | 15 | 0 | 0 | 0 |"
    as_it_is = rule_table(several).splitlines()[2]
    assert as_it_is == "| as it is | 2 of 2 | 1 | 1 | 1 of 2 | 0 | 0 |"

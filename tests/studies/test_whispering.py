"""Speech without vocal cords, and what is said to be left of it."""

import shutil

import numpy as np
import pytest

from evaluation.published import PUBLISHED, Published, publish_tables
from studies.whispering import Kept, Voice, content, measure, whispered

RATE = 16_000
FRAME = RATE // 50


def periodicity(samples):
    """Of the frames in which most sounds: the largest autocorrelation at a period of 2.5 to 12.5 ms, their mean."""
    frames = samples[: samples.size // (2 * FRAME) * 2 * FRAME].reshape(-1, 2 * FRAME)
    loud = frames[np.argsort(np.sum(frames**2, axis=1))[-50:]]
    spectra = np.abs(np.fft.rfft(loud * np.hanning(2 * FRAME), 4 * FRAME)) ** 2
    correlations = np.fft.irfft(spectra)[:, : 2 * FRAME]
    return float(np.mean(np.max(correlations[:, RATE // 400 : RATE // 80], axis=1) / correlations[:, 0]))


def frame_levels_db(samples):
    frames = samples[: samples.size // FRAME * FRAME].reshape(-1, FRAME)
    return 10 * np.log10(np.mean(frames**2, axis=1) + 1e-8)


def spectrum_db(samples):
    """Long-term, in 16 bands."""
    power = np.abs(np.fft.rfft(samples[: RATE * 4])) ** 2
    return 10 * np.log10([band.mean() for band in np.array_split(power, 16)])


def test_whispering_says_the_same_as_loud_without_vocal_cords(recording):
    speech = recording("ls367_speech")
    whisper = whispered(speech, np.random.default_rng(0))
    assert whisper.shape == speech.shape and whisper.dtype == np.float32
    assert periodicity(speech) > 0.5 > 0.35 > periodicity(whisper)
    levels = frame_levels_db(speech), frame_levels_db(whisper)
    audible = levels[0] > -45
    assert np.corrcoef(*(level[audible] for level in levels))[0, 1] > 0.8
    assert np.sum(whisper**2) == pytest.approx(np.sum(speech**2), rel=0.1)
    assert np.max(np.abs(spectrum_db(speech) - spectrum_db(whisper))) < 4


def test_silence_stays_silence():
    assert not whispered(np.zeros(RATE, np.float32), np.random.default_rng(0)).any()


def test_a_profile_that_has_heard_whispering_leaves_more_of_it(model, recording):
    random = np.random.default_rng(0)
    enrollment, speech = (recording(f"ls2033_{part}")[: 5 * RATE] for part in ("enrollment", "speech"))
    other = np.resize(recording("ls367_speech"), speech.size)
    voice = Voice(enrollment, whispered(enrollment, random), speech, whispered(speech, random), other)
    spoken, too = (kept for (kept,) in measure([voice], model).values())
    assert too.whisper_db > spoken.whisper_db + 3
    assert spoken.speech_db > -1


def test_each_profile_is_a_row_of_means():
    found = {"one": [Kept(-10.0, 40.0, -1.0, 5.0), Kept(-20.0, 60.0, 0.0, 6.0)]}
    header, (row,) = content(found, "enrolled")
    assert header[0] == "enrolled" and row[:2] == ["one", "2"]
    assert [float(cell.split()[0]) for cell in row[2:]] == pytest.approx([-15, 50, -0.5, 5.5])


def test_personal_weights_are_asked_about_their_own_voices(
    study, data, tmp_path, monkeypatch, weights_of_two
):
    folder, base = weights_of_two
    results = tmp_path / "results.json"
    shutil.copy(PUBLISHED, results)
    monkeypatch.setattr(publish_tables, "__defaults__", (results,))
    asked = ("--data", data, "--network", "pvqe-xs", "--publish")
    result = study("personal-whispering", *asked, "--weights", folder)
    assert result.exit_code == 0, result.output
    table = Published.load(results).studies["whispering with personal weights"]
    assert table.about == base
    assert [row[:2] for row in table.rows] == [["general", "2"], ["personal", "2"]]
    assert table.rows[0][2:] != table.rows[1][2:]
    none = study("personal-whispering", *asked, "--weights", tmp_path)
    assert none.exit_code == 1 and f"No weights of pvqe-xs in {tmp_path}" in none.stderr

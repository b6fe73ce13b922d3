"""The questions, tiny: what differs between the conditions and what does not, and the page they are written to."""

import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from evaluation.metrics.signal import active_rms
from evaluation.sets.render import read_segment, render, render_enrollment
from evaluation.sets.scene import Scene
from studies.questions import command
from studies.questions.enrollments import (
    CLEAN,
    _at_places,
    _disturbed,
    _long_talkers,
    enrollment_disturbance,
    enrollment_length,
    enrollment_place,
)
from studies.questions.measuring import Measured, Studio, two_talkers
from studies.questions.page import PAGE, Answer
from studies.questions.plot import Panel, draw
from studies.questions.talkers import (
    _in_turn,
    _late_scenes,
    _suppression_of_other,
    absence,
    other_talkers,
    overlap,
)

PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def studio(data):
    return Studio(data, "pvqe-s")


@pytest.fixture
def scene(studio):
    build = studio.builder("test")
    return build.balance(two_talkers(build, "cross"), 0.0, 20.0)


def rows(answer):
    return [line.strip("| ").split(" | ") for line in answer.table.splitlines()[2:]]


def number(cell):
    return float(cell.split()[0])


def test_longer_enrollments_go_on_where_shorter_ones_end(studio):
    talkers = _long_talkers(studio.talkers, 8)
    assert talkers and not any(set(t.mixing) & set(t.enrollment) for t in talkers)
    build = studio.builder("test", talkers)
    enrollments = [build.enrollment(talkers[0], seconds) for seconds in (1, 2, 5)]
    sounds = [render_enrollment(studio.root, enrollment) for enrollment in enrollments]
    assert [len(sound) for sound in sounds] == [16_000, 32_000, 80_000]
    for shorter, longer in pairwise(sounds):
        assert np.corrcoef(shorter, longer[: len(shorter)])[0, 1] > 0.999


def test_a_longer_enrollment_is_worth_more_than_a_second(studio):
    answer = enrollment_length(studio, clips=2, lengths_s=(1, 8))
    assert [row[0] for row in rows(answer)] == ["1", "8"]
    assert rows(answer)[-1][2] == "0.0 [0.0, 0.0]"
    assert number(rows(answer)[1][1]) > 0 and number(rows(answer)[1][3]) > 0


def test_a_place_changes_what_is_heard_and_not_who_speaks(studio, scene):
    near, far = _at_places(scene, "headset", "headset"), _at_places(scene, "laptop in a room", "headset")
    assert np.array_equal(render(near, studio.root).mixture, render(far, studio.root).mixture)
    sounds = [render_enrollment(studio.root, placed.right) for placed in (near, far)]
    assert len(sounds[0]) == len(sounds[1]) and np.corrcoef(*sounds)[0, 1] < 0.9
    clip, narrow = render(near, studio.root), render(replace(near, device="telephone"), studio.root)
    for whole, part in ((clip.mixture, narrow.mixture), (clip.reference, narrow.reference)):
        spectra = [np.abs(np.fft.rfft(x)) ** 2 for x in (whole, part)]
        above = len(spectra[0]) * 6 // 8
        shares = [spectrum[above:].sum() / spectrum.sum() for spectrum in spectra]
        assert shares[1] < 0.2 * shares[0]


def test_places_are_compared_with_themselves(studio):
    found = rows(enrollment_place(studio, clips=2, others=("laptop in a room",)))
    assert [row[:2] for row in found] == [["headset", "laptop in a room"], ["laptop in a room", "headset"]]
    for row in found:
        assert number(row[4]) == pytest.approx(number(row[3]) - number(row[2]), abs=0.11)


def test_what_is_wrong_with_an_enrollment_is_what_was_asked_for(studio, scene):
    disturbed = _disturbed(studio.builder("test"), scene, (20, 0))
    sounds = {label: render_enrollment(studio.root, s.right) for label, s in disturbed.items()}
    clean, length = sounds[CLEAN], len(sounds[CLEAN])
    for label, snr_db in (("20 dB", 20), ("0 dB", 0)):
        noise = sounds[label] - clean
        ratio = active_rms(clean) / np.sqrt(np.mean(noise**2))
        assert 20 * np.log10(ratio) == pytest.approx(snr_db, abs=1.5)
    half = sounds["50 %"]
    assert len(half) == pytest.approx(length, abs=2)
    assert np.allclose(half[: length // 2 - 2], clean[: length // 2 - 2])
    other = read_segment(studio.root, disturbed["50 %"].right.intruder.segments[0])
    assert np.corrcoef(half[-length // 4 :], other[: length // 2][-length // 4 :])[0, 1] > 0.95
    assert 20 * np.log10(active_rms(half[length // 2 :]) / active_rms(clean)) == pytest.approx(0, abs=3)


def test_an_enrollment_with_somebody_else_survives_its_file(studio, scene):
    for disturbed in _disturbed(studio.builder("test"), replace(scene, device="laptop"), (20,)).values():
        assert Scene.from_json(disturbed.to_json()) == disturbed


def test_disturbed_enrollments_are_worth_less(studio):
    found = {row[0]: row for row in rows(enrollment_disturbance(studio, clips=2, snrs_db=(0,)))}
    assert len(found) == 6 and found["clean"][2] == "0.0 [0.0, 0.0]"
    assert number(found["the other talker for 50 % of the time"][2]) < 0


def test_more_others_are_as_loud_together(studio):
    found = rows(other_talkers(studio, clips=1, counts=(1,)))
    assert [row[:2] for row in found] == [["1", "same-sex"], ["1", "cross-sex"]]
    build = studio.builder("test")
    several = two_talkers(build, "cross", others=2)
    assert len({voice.speaker for voice in (several.target, *several.interferers)}) == 3
    clip = render(build.balance(several, 0.0, 20.0), studio.root)
    ratio = active_rms(clip.reference) / active_rms(clip.interference)
    assert 20 * np.log10(ratio) == pytest.approx(0, abs=0.5)


@pytest.mark.parametrize("target_first", [True, False])
def test_talkers_take_turns_or_talk_at_once(studio, target_first):
    build = studio.builder("test")
    drawn = two_talkers(build, "cross")
    drawn = replace(
        drawn, noise=None, target=replace(drawn.target, segments=drawn.target.segments[:1]), room=None
    )
    cut = tuple(
        replace(voice, segments=(replace(voice.segments[0], seconds=4.0),))
        for voice in (drawn.target, *drawn.interferers)
    )
    scene = build.balance(replace(drawn, target=cut[0], interferers=cut[1:]), 0.0)
    shared = []
    for percent in (0, 50, 100):
        clip = render(_in_turn(scene, percent, target_first), studio.root)
        shared.append(np.mean((clip.reference != 0) & (clip.interference != 0)) * len(clip.mixture) / 64_000)
        halved = clip.reference + 0.5 * clip.interference
        suppressed = _suppression_of_other(clip, halved)["suppression_db"]
        assert np.isnan(suppressed) if percent == 100 else suppressed == pytest.approx(6.0, abs=0.1)
    assert shared == pytest.approx([0, 0.5, 1], abs=0.05)


def test_overlap_has_a_row_for_each_share(studio):
    found = rows(overlap(studio, clips=1, overlaps_percent=(0, 100)))
    assert [row[0] for row in found] == ["0", "100"] and found[1][3] == "-"
    assert number(found[0][3]) != 0


def test_late_and_absent_targets(studio):
    scenes = _late_scenes(studio.builder("test"), "cross", (1, 2))
    absent, late = (render(scenes[label], studio.root) for label in ("absent", "2 s late"))
    assert absent.reference is None and len(absent.mixture) == 96_000
    start = 2 * 16_000
    assert not late.reference[:start].any() and late.reference[start : start + 8000].any()
    found = rows(absence(studio, clips=1, late_s=(1,)))
    assert [row[0] for row in found] == ["1 s late", "1 s late", "absent", "absent"]
    assert found[-1][5] == "-" and number(found[-1][2]) > number(found[-1][4])


def test_differences_are_taken_clip_by_clip():
    measured = Measured()
    for gain in (1.0, 5.0, 9.0):
        measured.add("one", "right", {"si_sdr_gain": gain, "si_sdr": gain})
        measured.add("one", "wrong", {"si_sdr": -1.0})
        measured.add("other", "right", {"si_sdr_gain": gain + 0.5})
    assert measured.cell("other", "si_sdr_gain", minus="one") == "0.5 [0.5, 0.5]"
    assert measured.gap("one").tolist() == [2.0, 6.0, 10.0]
    assert measured.cell("other", "tsos") == "-"


def test_scenes_are_the_same_every_time(studio):
    first, second = (two_talkers(studio.builder("length"), "same") for _ in range(2))
    assert first == second
    assert first != two_talkers(studio.builder("place"), "same")


def answer(name, table="| 1 |"):
    return Answer(name, name.title(), "command", "How.", table, draw([Panel("dB", ["a"], {"b": [None]})]))


def test_an_answer_takes_the_place_of_an_older_one(tmp_path):
    for written in (answer("one"), answer("two"), answer("one", "| \\1 |")):
        written.write(tmp_path)
    text = (tmp_path / PAGE).read_text()
    assert re.findall(r"^## (\w+)", text, re.MULTILINE) == ["One", "Two"]
    assert "| \\1 |" in text and text.count("| 1 |") == 1
    assert {path.name for path in tmp_path.iterdir()} == {PAGE, "questions-one.png", "questions-two.png"}
    assert (tmp_path / "questions-one.png").read_bytes().startswith(PNG)


def test_the_command_writes_what_it_is_asked_for(study, data, tmp_path, monkeypatch):
    monkeypatch.setitem(command.QUESTIONS, "overlap", lambda studio: overlap(studio, 1, (100,)))
    result = study("questions", "overlap", "--data", data, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    text = (tmp_path / PAGE).read_text()
    assert "python -m studies questions overlap" in text and "pvqe-s" in text
    assert text.split("<!--")[1].split("-->")[1].strip() in result.stdout


@pytest.mark.parametrize(
    ("given", "said"),
    [(["--data", "none", "--out", "out"], "does not exist"), (["--out", "o", "--model", "x.onnx"], "x.onnx")],
)
def test_what_is_missing_is_one_sentence(study, data, tmp_path, monkeypatch, given, said):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGE_PSE_DATA", str(data))
    result = study("questions", *given)
    assert result.exit_code == 1 and said in result.output and "Traceback" not in result.output
    assert not any(tmp_path.iterdir())

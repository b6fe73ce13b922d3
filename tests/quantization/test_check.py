"""The check finds what a file misses, measures other Pythons' runtimes, and writes a report."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_pse.enrollment import embed
from edge_pse.model import MODELS_DIR, Model
from export.onnx import write_onnx
from quantization.bars import misses, misses_time
from quantization.calibration import CHECK, mixtures
from quantization.check import find_misses, report_sections, settle_times
from quantization.measure import Output, Pythons, Row, Scores, Variant, measure
from quantization.quality import enhance, snr_db
from quantization.report import write_report
from quantization.scenes import Scene, SceneSet, short_scenes
from tests.training.test_network import trained_like

FP32 = Variant(MODELS_DIR / "pvqe-s.fp32.onnx", "onnx")
INT8 = Variant(MODELS_DIR / "pvqe-s.int8.onnx", "onnx")


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    """fp32 and int8, over one mixture and four voices alone: two frames of one voice are more than TSOS may rise."""
    made = mixtures(CHECK)
    enrollments = [mixture.enrollment for mixture in made if mixture.enrollment is not None]
    scenes = [
        Scene("two-talkers", made[0].noisy, made[0].voice, 0),
        *(Scene("clean", mixture.voice, mixture.voice, number) for number, mixture in enumerate(made)),
        Scene("interferer-only", made[0].noisy, None, 0),
    ]
    minute = np.concatenate([mixture.noisy[:16_000] for mixture in made])
    return list(measure(FP32, [FP32, INT8], SceneSet(enrollments, scenes, minute, minutes=2), Pythons({})))


def test_a_stream_is_one_minute_again_and_again_for_each_voice_so_that_only_time_differs() -> None:
    job = short_scenes().stream_job()
    np.testing.assert_array_equal(job["profiles"], [0, 1, 2, 3])
    np.testing.assert_array_equal(short_scenes(streams=(1, 3)).stream_job()["profiles"], [1, 3])
    for number in range(4):
        minutes = np.split(job[f"noisy_{number}"], 3)
        assert minutes[0].size == 60 * 16_000
        for minute in minutes[1:]:
            np.testing.assert_array_equal(minute, minutes[0])


def test_fp32_against_itself_costs_nothing(rows: list[Row]) -> None:
    assert rows[0].snr == float("inf")
    assert rows[0].cosine == pytest.approx(1)
    found = misses(replace(rows[0], minute_snr=[[100.0, 100.0]]), rows[0], rows[0])
    assert found and all("file" in miss for miss in found)  # it is as large as fp32, but misses nothing else


def test_int8_keeps_its_quality_on_real_speech(rows: list[Row]) -> None:
    int8 = rows[1]
    assert int8.snr > 35 and int8.cosine > 0.99
    assert np.shape(int8.minute_snr) == (4, 2) and np.min(int8.minute_snr) > 35
    assert not [miss for miss in misses(int8, rows[0], rows[0]) if "frame takes" not in miss]
    assert abs(int8.fp32_profile - int8.scores.si_sdr_gain) < 0.3
    assert abs(int8.profile_into_fp32 - rows[0].scores.si_sdr_gain) < 0.3
    assert int8.peak_memory_mb < 200


WORSE = Scores(si_sdr_gain=-0.4, pesq_wb=-0.06, dnsmos_ovrl=0.0, bak_suppr=-1.1, tsos_percent=0.4)


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("si_sdr_gain", "SI-SDR gain falls by 0.4 dB, at most 0.3"),
        ("pesq_wb", "PESQ-WB falls by 0.06, at most 0.05"),
        ("bak_suppr", "BAK SUPPR falls by 1.1 dB"),
        ("tsos_percent", "TSOS rises by 0.4 points"),
    ],
)
def test_each_loss_of_quality_is_a_miss(rows: list[Row], field: str, said: str) -> None:
    fp32, int8 = rows
    worse = replace(fp32.scores, **{field: getattr(fp32.scores, field) + getattr(WORSE, field)})
    found = [miss for miss in misses(replace(int8, scores=worse), fp32, fp32) if "frame takes" not in miss]
    assert len(found) == 1
    assert said in found[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cosine": 0.98}, "profiles are off"),
        (
            {"minute_snr": [[30.0, 40.0, 40.0], [50.0, 48.0, 46.9]]},
            "minutes the output SNR of a voice falls by 3.1 dB",
        ),
        ({"minute_snr": [[30.0, float("nan")]]}, "the output SNR of a voice falls by nan dB"),
        (
            {"minute_snr": [[40.0, 40.0, 40.0], [24.5, 30.0, 24.0]]},
            "the error lies, against the output, at -24 dB",
        ),
        ({"size_mb": 2.0}, "of fp32's size"),
        ({"size_mb": 1.31}, "the file has 1.31 MB, at most 1.3"),
        ({"p50_ms": 1e3}, "in times of fp32"),
        ({"cosine": float("nan")}, "profiles are off"),
    ],
)
def test_other_losses_are_misses(rows: list[Row], change: dict[str, object], said: str) -> None:
    assert any(said in miss for miss in misses(replace(rows[1], **change), rows[0], rows[0]))


class PilesUp(Pythons):
    """Gives back what goes in, and what is not the reference adds an error that grows without end."""

    def run(self, variant: Variant, job: dict[str, np.ndarray]) -> Output:
        """In place of a worker."""
        heard = [job[f"noisy_{number}"] for number in range(len(job["profiles"]))]
        if variant != FP32:
            heard = [noisy + np.linspace(0, 1e-4, noisy.size, dtype=np.float32) for noisy in heard]
        return Output(heard, np.ones((1, 256), np.float32), 50.0)

    def times(self, variants: list[Variant]) -> dict[Variant, dict[str, float]]:
        """The same for all."""
        return {variant: {"p50": 0.1, "p99": 0.2} for variant in variants}


def test_an_error_that_grows_from_minute_to_minute_is_a_miss() -> None:
    mixture = mixtures(CHECK[:1])[0]
    scenes = [
        Scene("two-talkers", mixture.noisy, mixture.voice, 0),
        Scene("clean", mixture.voice, mixture.voice, 0),
        Scene("interferer-only", mixture.noisy, None, 0),
    ]
    minute = mixture.noisy[:48_000]
    fp32, piled = measure(FP32, [FP32, INT8], SceneSet([], scenes, minute), PilesUp({}))
    assert piled.minute_snr[0] == sorted(piled.minute_snr[0], reverse=True)
    (found,) = misses(replace(piled, p50_ms=0.0), fp32, fp32)
    assert "over 3 minutes the output SNR of a voice falls by" in found


class Remembers(PilesUp):
    """Who was asked to listen to something."""

    def __init__(self) -> None:
        super().__init__({})
        self.asked: list[Variant] = []

    def run(self, variant: Variant, job: dict[str, np.ndarray]) -> Output:
        """In place of a worker."""
        self.asked.append(variant)
        return super().run(variant, job)


def test_what_no_bar_asks_for_can_be_left_out_and_the_misses_stay_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("quantization.measure.score", lambda *_: WORSE)
    mixture = mixtures(CHECK[:1])[0]
    scenes = [Scene("two-talkers", mixture.noisy, mixture.voice, 0)]
    other_fp32 = Variant(FP32.path.with_suffix(".tflite"), "litert")
    variants, scene_set = [FP32, other_fp32, INT8], SceneSet([], scenes, mixture.noisy[:48_000])
    less, all_of_it = Remembers(), Remembers()
    rows = list(measure(FP32, variants, scene_set, less, bars_only=True))
    whole = list(measure(FP32, variants, scene_set, all_of_it))
    assert less.asked == [FP32, FP32, INT8, INT8]  # the scenes and the streams
    assert len(all_of_it.asked) == 10 and set(all_of_it.asked) == set(variants)
    assert [row.size_mb for row in rows] == [row.size_mb for row in whole]
    assert find_misses(rows) == find_misses(whole) != []
    for section in report_sections(rows, []):
        assert not any("nan" in cell for cells in section.rows for cell in cells)


def test_one_fast_runtime_is_enough(rows: list[Row]) -> None:
    slow, fast = replace(rows[1], p50_ms=0.3), replace(rows[1], p50_ms=0.2)
    assert not misses_time([slow, fast])
    assert "0.300 ms at best" in misses_time([slow])[0]


def test_times_alone_are_measured_again_and_nothing_else_is(rows: list[Row]) -> None:
    fp32, int8 = (replace(row, p50_ms=0.2, p99_ms=1.0) for row in rows)
    answers = [
        {fp32.variant: {"p50": 0.2, "p99": 1.0}, int8.variant: {"p50": p50, "p99": 1.0}} for p50 in (0.1, 0.3)
    ]
    assert settle_times([fp32, int8], answers.pop) == ([fp32, int8], [])
    settled, failures = settle_times([fp32, replace(int8, p50_ms=0.3)], answers.pop)
    assert not failures and settled[1].p50_ms == 0.1 and not answers
    _, failures = settle_times([fp32, replace(int8, p50_ms=0.3, cosine=0.5)], answers.pop)
    assert len(failures) == 3  # the profile, and the time twice
    slow = {variant: {"p50": 0.4, "p99": 1.0} for variant in (int8.variant,)} | {
        fp32.variant: {"p50": 0.2, "p99": 1.0}
    }
    assert len(settle_times([fp32, replace(int8, p50_ms=0.3)], lambda: slow)[1]) == 2


def test_the_report_says_it_all(rows: list[Row], tmp_path: Path) -> None:
    failures = find_misses([rows[0], replace(rows[1], cosine=0.5)])
    write_report(tmp_path / "report", "int8", report_sections(rows, failures))
    markdown = (tmp_path / "report/report.md").read_text()
    html = (tmp_path / "report/report.html").read_text()
    for text in ("profiles are off", "pvqe-s.int8.onnx on onnx"):
        assert text in markdown and text in html
    assert len(list((tmp_path / "report").glob("*.png"))) == 1


def test_another_python_gives_what_this_one_gives(tmp_path: Path) -> None:
    mixture = mixtures(CHECK[:1])[0]
    assert mixture.enrollment is not None
    job = {"profiles": np.array([0, -1]), "enrollment_0": mixture.enrollment}
    job |= {"noisy_0": mixture.noisy, "noisy_1": mixture.noisy[:32_000]}
    heard = Pythons({"onnx": sys.executable}).run(FP32, job)
    model = Model.load(FP32.path)
    profile = embed(mixture.enrollment, model)
    np.testing.assert_array_equal(heard.embeddings[0], profile)
    np.testing.assert_array_equal(heard.enhanced[0], enhance(model, mixture.noisy, profile))
    np.testing.assert_array_equal(heard.enhanced[1], enhance(model, mixture.noisy[:32_000], None))


def test_a_missing_model_is_an_error_of_the_worker(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no model file"):
        Pythons({}).run(Variant(tmp_path / "none.onnx", "onnx"), {"profiles": np.array([], int)})


def test_the_short_scenes_hold_all_kinds() -> None:
    scenes = short_scenes()
    assert {scene.kind for scene in scenes.scenes} == {"two-talkers", "clean", "interferer-only"}
    assert all(0 <= scene.profile < len(scenes.enrollments) for scene in scenes.scenes)
    assert not any("far" in key for key in scenes.job())


def test_a_model_with_a_far_end_is_given_what_the_loudspeaker_was(tmp_path: Path) -> None:
    model_name = tmp_path / "pvqe-xs-far.fp32.onnx"
    write_onnx(trained_like("pvqe-xs-far"), model_name)
    mixture = mixtures(CHECK[:1])[0]
    noisy, far_end = mixture.noisy[:16_000], mixture.far_end[:16_000]
    job = {"profiles": np.array([-1, -1]), "embeddings": np.zeros((1, 128), np.float32)}
    job |= {"noisy_0": noisy, "far_end_0": far_end, "noisy_1": noisy}
    heard = Pythons({}).run(Variant(model_name, "onnx"), job)
    model = Model.load(model_name)
    np.testing.assert_array_equal(heard.enhanced[0], enhance(model, noisy, None, far_end))
    np.testing.assert_array_equal(heard.enhanced[1], enhance(model, noisy, None))
    assert not np.array_equal(heard.enhanced[1], heard.enhanced[0])
    echoes = short_scenes(far_end=True)
    assert [scene.far_end is not None for scene in echoes.scenes] == [True] * 4 + [False] * 5
    np.testing.assert_array_equal(echoes.job()["far_end_0"], mixture.far_end)


def test_snr_is_that_of_the_difference() -> None:
    wanted = np.sin(np.arange(1000, dtype=np.float32))
    assert snr_db(wanted, 0.9 * wanted) == pytest.approx(20, abs=1e-3)
    assert snr_db(wanted, wanted) == float("inf")

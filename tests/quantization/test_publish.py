"""What is published of int8: each file on the runtime that takes it, against fp32 in the same runtime."""

from __future__ import annotations

import sys

import pytest

from edge_pse.model import Model
from quantization import publish
from quantization.measure import Pythons
from quantization.publish import int8_variants, measure_int8


def test_each_runtime_is_measured_with_the_file_that_it_takes() -> None:
    runtimes = dict.fromkeys(("litert", "onnx", "tflite-runtime"), sys.executable)
    variants = int8_variants("pvqe-s", Pythons(runtimes))
    assert [(variant.path.name, variant.runtime) for variant in variants] == [
        ("pvqe-s.int8.tflite", "litert"),
        ("pvqe-s.int8-weights.tflite", "tflite-runtime"),
        ("pvqe-s.int8.onnx", "onnx"),
    ]


@pytest.mark.parametrize(("network", "makes_profiles"), [("pvqe-s", True), ("pvqe-xs", False)])
def test_the_int8_files_are_near_fp32_and_smaller(
    network: str, makes_profiles: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "TRIES", 1)  # at the times, which are published and not judged
    monkeypatch.setattr(publish, "CHECK", publish.CHECK[:2])
    files = measure_int8(network, Pythons({}))
    assert {file.runtime for file in files} >= {"litert", "onnx"}
    for file in files:
        assert file.model_id == Model.load(network).contract.model_id
        assert 35 < file.median_snr_db < 60 and 35 < file.snr_db < 60
        assert file.si_sdr_gain_loss_db is not None and 0 < abs(file.si_sdr_gain_loss_db) < 0.3
        assert file.pesq_loss is not None and 0 < abs(file.pesq_loss) < 0.05
        assert 0.2 < file.size_mb < 1.4
        assert min(file.frame_ms, file.fp32_frame_ms) > 0
        assert (file.worst_cosine is not None) == makes_profiles
        if file.worst_cosine is not None:
            assert 0.999 < file.worst_cosine <= 1

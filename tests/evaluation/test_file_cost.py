"""What a file costs is measured on the command itself, each choice of options for itself."""

import pytest

from evaluation.file_cost import DEFAULT, OPTIONS, measure_files


def test_fp32_on_onnx_costs_more_than_what_is_taken_by_itself() -> None:
    default, fp32 = measure_files(runs=1)
    assert (default.options, fp32.options) == (DEFAULT, OPTIONS[1])
    assert 0.2 < default.cpu_s < fp32.cpu_s
    assert 20 < default.peak_rss_mb < fp32.peak_rss_mb < 1000


def test_options_that_edge_pse_refuses_end_the_measurement() -> None:
    with pytest.raises(RuntimeError, match="--model nowhere failed"):
        measure_files(("--model nowhere",), runs=1)

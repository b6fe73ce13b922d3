"""The study of int8 recipes says what each costs, and each layer."""

from __future__ import annotations

from pathlib import Path

from quantization.report import write_report
from studies.int8_recipes import Candidate, report_sections


def test_the_report_says_it_all(tmp_path: Path) -> None:
    candidates = [
        Candidate("static.onnx", size_mb=1.2, p50_ms=0.2, snr=30.0, cosine=0.99),
        Candidate("static.tflite", failure="the converter refuses it"),
    ]
    write_report(tmp_path / "report", "int8", report_sections(candidates, {"gru1.of_input": 50.0}))
    markdown = (tmp_path / "report/report.md").read_text()
    html = (tmp_path / "report/report.html").read_text()
    for text in ("static.onnx", "the converter refuses it", "gru1.of_input", "weights-only"):
        assert text in markdown and text in html
    assert len(list((tmp_path / "report").glob("*.png"))) == 2

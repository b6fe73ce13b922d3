"""The emulated Cortex-A53: skipped in words where it can't run, and judged by what it gives."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from quantization.emulated import Comparison, main


def test_it_says_why_it_does_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    result = CliRunner().invoke(main, ["--root", "/nowhere/root"])
    assert result.exit_code == 0
    assert result.output == "Skipped: qemu-aarch64-static is missing: apt-get install qemu-user-static.\n"


@pytest.mark.parametrize(
    ("difference", "here", "there", "holds"),
    [
        (1e-5, 46.0, 46.0, True),
        (3e-3, 46.0, 47.2, True),  # another rounding, as near to fp32
        (3e-3, 46.0, 44.0, False),
        (float("nan"), 46.0, float("nan"), False),
    ],
)
def test_another_output_passes_only_if_it_is_as_near_to_fp32(
    difference: float, here: float, there: float, holds: bool
) -> None:
    assert Comparison(difference, here, there).holds() == holds

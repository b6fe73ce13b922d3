"""The emulated Cortex-A53: skipped in words where it can't run, and judged by what it gives."""

from __future__ import annotations

import pytest

from studies.emulated_arm import Comparison


def test_it_says_why_it_does_not_run(study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    result = study("emulated-arm", "--root", "/nowhere/root")
    assert result.exit_code == 0
    assert result.output == "Skipped: qemu-aarch64-static is missing: apt-get install qemu-user-static.\n"


@pytest.mark.parametrize(("difference", "holds"), [(1e-5, True), (3e-3, False), (float("nan"), False)])
def test_another_output_does_not_pass(difference: float, holds: bool) -> None:
    assert Comparison(difference, 46.0, 46.0).holds() == holds

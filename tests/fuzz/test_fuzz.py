"""A few cases of each kind of ``make fuzz``, always the same ones."""

import subprocess
import sys

import pytest

from tests.fuzz.kinds import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_a_few_cases_find_nothing(kind):
    command = [sys.executable, "-m", "tests.fuzz", "--seed", "1", "--cases", "12", "--only", kind]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{kind}: 12 cases" in result.stdout

"""The one command: its index, studies that are loaded alone, and errors as sentences."""

import subprocess
import sys
from pathlib import Path

import pytest

import studies
from studies.index import STUDIES


def test_without_a_name_all_studies_are_printed(study):
    result = study()
    assert result.exit_code == 0
    text = "".join(result.stdout.split())
    for name, entry in STUDIES.items():
        line = f"{name} {entry.question} Needs {entry.needs}; takes {entry.takes}."
        assert "".join(line.split()) in text


@pytest.mark.parametrize("name", STUDIES)
def test_each_says_how_it_is_asked(study, name):
    result = study(name, "--help")
    assert result.exit_code == 0 and f"{name} [OPTIONS]" in result.stdout


def test_without_pytorch_those_that_need_none_still_load():
    """One process for all: each would load SciPy anew."""
    names = [name for name, entry in STUDIES.items() if "PyTorch" not in entry.needs] + ["questions"]
    code = (
        "import sys\nfrom studies.__main__ import main\n"
        f"for name in {names}:\n"
        "    assert main.get_command(None, name) and 'torch' not in sys.modules, name"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_package_that_is_missing_is_named(study, data, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "studies.questions.network", raising=False)
    result = study("questions", "tap", "--data", data, "--out", tmp_path / "out")
    assert result.exit_code == 1 and "torch is not installed" in result.output


def test_there_is_one_way_to_run_a_study():
    modules = sorted(Path(studies.__file__).parent.rglob("*.py"))
    assert [path.name for path in modules if "__name__ ==" in path.read_text()] == ["__main__.py"]

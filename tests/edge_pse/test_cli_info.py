"""``edge-pse info`` and what surrounds the commands."""

import pytest

from edge_pse import ProfileStore, __version__, targets
from edge_pse.backends import RUNTIMES, Runtime
from edge_pse.cli.program import commands
from tests.edge_pse.graphs import copy_model


def test_one_screen_says_what_is_here(run, home, model, female_profile):
    ProfileStore().save(female_profile)
    result = run("info")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert len(lines) <= 30
    assert lines[0].startswith(f"edge-pse {__version__}, Python 3.")
    (model_name,) = [line.split() for line in lines if line.startswith(model.path.name)]
    contract = model.contract
    assert model_name[3:] == [contract.model_id, contract.precision, contract.licence, "litert"]
    assert not any("int8-weights" in line for line in lines)  # tflite-runtime takes those by itself
    (runtime,) = [line.split() for line in lines if line.startswith("onnx ")]
    assert runtime == ["onnx", "*.onnx", RUNTIMES["onnx"].installed_version()]
    assert lines[-1] == f"1 profile in {home}/profiles"
    target = targets.choose()
    (setting,) = [line.split(maxsplit=2) for line in lines if line.startswith("latency_ms ")]
    assert setting == ["latency_ms", str(target.settings.latency_ms), target.grounds["latency_ms"]]
    assert any(line.startswith(f"Target {target.name}, ") for line in lines)


def test_what_is_missing_is_named_with_the_way_to_get_it(run, monkeypatch):
    monkeypatch.setitem(RUNTIMES, "absent", Runtime(".absent", "absent", "edge-pse-absent-runtime"))
    monkeypatch.setitem(RUNTIMES, "spare", Runtime(".onnx", "spare", "edge-pse-spare-runtime"))
    lines = run("info").stdout.splitlines()
    assert "missing: pip install edge-pse-absent-runtime" in "".join(
        line for line in lines if line.startswith("absent")
    )
    assert "missing, not needed" in "".join(line for line in lines if line.startswith("spare"))


def test_a_damaged_model_does_not_hide_the_rest(run, monkeypatch, tmp_path, model):
    copy_model(model.path, tmp_path / "whole.tflite")
    damaged = copy_model(model.path, tmp_path / "damaged.tflite")
    damaged.write_bytes(damaged.read_bytes()[:5_000])
    monkeypatch.setattr("edge_pse.model.MODELS_DIR", tmp_path)
    shown = run("info").stdout
    assert "nothing here" in shown
    assert "damaged.tflite can't be used: it is not the file that damaged.tflite.json describes" in shown
    assert model.contract.model_id in shown


def test_without_models_it_says_so(run, monkeypatch, tmp_path):
    monkeypatch.setattr("edge_pse.model.MODELS_DIR", tmp_path)
    assert "No models came with this package" in run("info").stdout


def test_as_a_process_without_a_terminal_it_prints_plain_text(start):
    out, errors = start("info").communicate(timeout=60)
    assert out.startswith(f"edge-pse {__version__}")
    assert "\x1b" not in out
    assert "Traceback" not in errors


@pytest.mark.parametrize("name", [None, *commands.commands])
def test_every_command_has_help(run, name):
    arguments = [name] if name else []
    result = run(*arguments, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: {' '.join(['commands', *arguments])} [OPTIONS]")


def test_the_version(run):
    assert run("--version").stdout == f"edge-pse, version {__version__}\n"

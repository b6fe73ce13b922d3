"""``edge-pse bench`` of the shipped models."""

import json

from edge_pse.backends import RUNTIMES
from edge_pse.model import available_models


def test_a_table_of_one_model(run, model):
    result = run("bench", "--seconds", "0.3", "--model", model.path)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith("30 frames of 10 ms, one thread")
    assert model.path.name in lines[2]
    labels = {line.split("  ")[0] for line in lines[3:]}
    assert labels >= {"frame, p50", "frame, p99", "frame, max", "network alone, p50", "share of real time"}
    assert labels >= {"latency", "resident memory", "time to load"}


def test_json_for_programs(run, model):
    (result,) = json.loads(run("bench", "--seconds", "0.3", "--json", "--model", model.path).stdout)
    assert result["model"] == model.path.name
    assert result["threads"] == 1
    assert result["frames"] == 30
    assert 0 < result["enhancer"]["p50_ms"] <= result["enhancer"]["p99_ms"] <= result["enhancer"]["max_ms"]


def test_all_models_on_all_runtimes_each_in_a_process_of_its_own(start):
    process = start("bench", "--all", "--seconds", "0.2", "--json")
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    results = json.loads(out)
    assert [(result["model"], result["backend"]) for result in results] == [
        (path.name, name)
        for path in available_models()
        for name, runtime in RUNTIMES.items()
        if runtime.suffix == path.suffix and runtime.installed_version()
    ]
    # The last model is the smallest: in one process for all, it would count the memory of those before it.
    assert 20 < results[-1]["resident_mb"] <= results[0]["resident_mb"] + 2 < 150


def test_what_is_wrong_is_said_in_a_sentence(refused):
    assert "leave out --model and --backend" in refused("bench", "--all", "--model", "pvqe-xs", status=2)
    assert "There is no model 'nothing'" in refused("bench", "--model", "nothing")
    refused("bench", "--seconds", "0", status=2)

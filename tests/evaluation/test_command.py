"""``python -m evaluation`` from end to end, and its HTML page in a real browser."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from evaluation.sets import FULL_BAND_CLEAN

PROJECT = Path(__file__).parents[2]


def _evaluate(*arguments, expected=0):
    done = subprocess.run(
        [sys.executable, "-m", "evaluation", *map(str, arguments)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == expected, done.stderr
    return done


@pytest.fixture(scope="module")
def report(tmp_path_factory, few_scenes, data):
    """The folder of a report on a few scenes, run as the command runs them."""
    from evaluation.__main__ import _listening, _settings, _write
    from evaluation.cost import measure_costs
    from evaluation.run import Evaluation
    from evaluation.sets.render import render
    from evaluation.systems.spec import SystemSpec

    specs = [
        SystemSpec("input"),
        SystemSpec("model", "pvqe-s"),
        SystemSpec("command", "false {noisy} {out}"),
    ]
    specs += [SystemSpec("model", "missing-model"), SystemSpec("reference")]
    with Evaluation(data, few_scenes, 2) as evaluation:
        results = [evaluation.run(spec) for spec in specs]
        listening = _listening(evaluation, results)
    costs = measure_costs(results, render(few_scenes[0], data).mixture[:16_000])
    out = tmp_path_factory.mktemp("report")
    _write(out, results, costs, listening, _settings(few_scenes, True, None))
    return out


@pytest.fixture(scope="module")
def content(report):
    return json.loads((report / "report.json").read_text())


def _rows(content, **wanted):
    return [row for row in content["rows"] if all(row[key] == value for key, value in wanted.items())]


def test_every_output_has_a_row(content):
    rows = _rows(content, system="pvqe-s", set="two-talkers")
    assert [row["profile"] for row in rows] == ["right", "wrong", "none"] * 2
    assert all("si_sdr" in row["metrics"] for row in rows)
    assert "pesq" in rows[0]["metrics"] and "pesq" not in rows[1]["metrics"]


def test_the_reference_is_the_ceiling_of_every_metric(content):
    best = {row["metric"]: row["mean"] for row in content["summary"] if row["system"] == "clean reference"}
    assert best["si_sdr"] == best["suppression_db"] == 100.0
    assert best["pesq"] > 4.6 and best["stoi"] == pytest.approx(1.0)
    assert best["tsos"] == best["wrong_talker"] == 0.0


def test_the_right_profile_beats_the_wrong_one(content):
    system = next(system for system in content["systems"] if system["name"] == "pvqe-s")
    assert system["conditioning_gap"]["mean"] > 0.0
    assert system["delays_samples"] == {"16000": 0.0}


def test_what_fails_is_a_row_with_a_reason(content):
    failed = _rows(content, system="false {noisy} {out}")
    assert failed and all("status 1" in row["reason"] and not row["metrics"] for row in failed)
    missing = next(system for system in content["systems"] if system["name"] == "missing-model")
    assert "no model" in missing["reason"]


def test_costs_are_ratios_to_the_first_system(content):
    (cost,) = content["cost"]
    assert cost["system"] == "pvqe-s" and cost["ratio"] == 1.0
    assert 0.0 < cost["cpu_low"] <= cost["cpu_per_second"] <= cost["cpu_high"]
    assert cost["peak_rss_mb"] > 30.0


def test_the_markdown_says_it_all(report):
    text = (report / "report.md").read_text()
    for heading in ("What the profile does: pvqe-s", "two-talkers", "Cost", "Worst clips", "Not scored"):
        assert f"## {heading}" in text
    widths = {line.count("|") for line in text.split("\n\n")[2].splitlines()}
    assert len(widths) == 1
    by_sir = next(line for line in text.splitlines() if line.startswith("| 0 dB |"))
    clips, gain, same_sex, cross_sex, wrong_talker = by_sir.strip("| ").split(" | ")[1:]
    assert clips == "2" and len({gain, same_sex, cross_sex}) == 3 and wrong_talker != "-"


def test_pairs_are_scored_the_same_every_time_by_any_number_of_processes(pair_folders, tmp_path):
    texts = []
    for jobs in ("2", "1"):
        options = ["--input", "--command", "cp {noisy} {out}", "--quick", "--out", tmp_path / jobs]
        done = _evaluate("pvqe-s", "--pairs", *pair_folders, *options, "--jobs", jobs)
        texts.append((tmp_path / jobs / "report.json").read_text())
    assert texts[0] == texts[1]
    assert "| pvqe-s |" in done.stdout
    content = json.loads(texts[0])
    copied = _rows(content, system="cp {noisy} {out}")
    assert [row["metrics"] for row in copied] == [
        row["metrics"] for row in _rows(content, system="unprocessed")
    ]
    assert len(_rows(content, system="pvqe-s", profile="none")) == 2


def test_clips_of_zeros_and_silent_outputs_have_their_reasons(pair_folders, tmp_path):
    import numpy as np
    import soundfile

    for folder in pair_folders:
        soundfile.write(folder / "zeros.wav", np.zeros(32_000), 16_000)
    silent = (
        f'"{sys.executable}" -c "import sys, soundfile; x, r = soundfile.read(sys.argv[1]); '
        'soundfile.write(sys.argv[2], x * 0, r)" {noisy} {out}'
    )
    _evaluate("--pairs", *pair_folders, "--command", silent, "--no-cost", "--out", tmp_path / "out")
    rows = json.loads((tmp_path / "out" / "report.json").read_text())["rows"]
    reasons = {row["clip"]: row["reason"] for row in rows}
    assert reasons["pairs_zeros"] == "the input is silent"
    assert "the output is silent" in reasons["pairs_ls367"]


def test_scenes_of_two_rates_are_scored_by_what_takes_them(few_scenes, full_band_scenes, data):
    from evaluation.run import Evaluation
    from evaluation.systems.spec import SystemSpec

    clean = full_band_scenes[FULL_BAND_CLEAN][0]
    late = "import sys, numpy, soundfile; x, r = soundfile.read(sys.argv[1]); "
    late += "soundfile.write(sys.argv[2], numpy.pad(x, (r // 100, 0)), r, subtype='FLOAT')"
    command = SystemSpec("command", f'"{sys.executable}" -c "{late}" {{noisy}} {{out}}')
    half_band = SystemSpec("model", "pvqe-s", full_band=False)
    with Evaluation(data, [few_scenes[0], clean], 1, dnsmos=False) as evaluation:
        results = [evaluation.run(spec) for spec in (command, half_band)]
    assert results[0].delays_samples == {16_000: 160.0, 48_000: 480.0}
    assert {row.set for row in results[0].rows} == {few_scenes[0].set, FULL_BAND_CLEAN}
    assert results[0].rows[-1].metrics["si_sdr_above"] > 40.0
    assert {row.set for row in results[1].rows} == {FULL_BAND_CLEAN}


def test_without_data_the_command_says_what_to_do(monkeypatch):
    monkeypatch.delenv("EDGE_PSE_DATA", raising=False)
    done = _evaluate("pvqe-s", expected=1)
    assert "--data" in done.stderr and "Traceback" not in done.stderr


def test_nothing_that_can_run_is_an_error(pair_folders):
    done = _evaluate("no-such-model", "--pairs", *pair_folders, "--no-cost", expected=1)
    assert "no-such-model" in done.stderr and "Traceback" not in done.stderr


def test_the_page_needs_no_other_file(report):
    page = (report / "report.html").read_text()
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert "http" not in re.sub(r'"data:[^"]*"', "", page)  # what is encoded may contain any four letters


def _chromium():
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not found:
        pytest.skip("no Chromium here (Debian: apt install chromium)")
    return found


def test_the_page_opens_from_disk_in_a_browser(report, tmp_path):
    """Tables are laid out, pictures decode, and the players know how long their clips are."""
    probe = """<script>
    addEventListener("load", () => setTimeout(() => {
      const images = [...document.images].map((image) => image.naturalWidth);
      const clips = [...document.querySelectorAll("audio")].map((audio) => audio.duration);
      document.title = JSON.stringify({ images, clips, rows: document.querySelectorAll("tbody tr").length });
    }, 1500));
    </script>"""
    page = tmp_path / "report.html"
    page.write_text((report / "report.html").read_text().replace("</body>", probe + "</body>"))
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'browser'}"]
    dumped = subprocess.run(
        [_chromium(), *options, "--virtual-time-budget=10000", "--dump-dom", page.as_uri()],
        capture_output=True, text=True, timeout=180,
    )  # fmt: skip
    title = re.search(r"<title>(\{.*?\})</title>", dumped.stdout)
    assert title, dumped.stderr[-2000:]
    seen = json.loads(title.group(1))
    assert len(seen["images"]) >= 3 and min(seen["images"]) > 100
    assert len(seen["clips"]) >= 9 and all(duration and 3.0 < duration < 16.0 for duration in seen["clips"])
    assert seen["rows"] > 20

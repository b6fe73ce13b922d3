"""README, results page and cards show what the results say, of the models that ship, and nothing that was typed."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from edge_pse.model import MODELS_DIR, Model
from evaluation.claims import CLAIMS, RESULTS
from evaluation.earlier import MARK, marked
from evaluation.metrics.statistics import Summary
from evaluation.published import GAP, POOLED, FileCost, Int8File, Published, StudyTable
from evaluation.results import Row, SystemResult
from evaluation.sets import FULL_BAND_CLEAN
from evaluation.systems.spec import SystemInfo, SystemSpec
from evaluation.tables import DOCUMENTS, ROOT, rewritten

TABLES_ALONE = {"targets/raspberry-pi/README.md", "docs/privacy.md", "docs/assistant.md"}
"""Documents with measured tables, and no measured figure in a sentence."""
NETWORKS = ("pvqe-s", "pvqe-s-far", "pvqe-xs")
MODEL_ID = re.compile(r"pvqe-(?:s-far|s|xs)-[0-9a-f]{12}\b(?! \(an earlier model\))")


@pytest.fixture(scope="module")
def found() -> Published:
    return Published.load()


@pytest.fixture(scope="module")
def shipped() -> set[str]:
    return {Model.load(name).contract.model_id for name in NETWORKS}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_documents_show_what_the_results_say(document: str, found: Published) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    assert rewritten(document, text, found) == text, "run python -m evaluation.tables"
    assert text.count("<!-- table:") == text.count("<!-- end of table -->") > 0


def test_the_results_are_those_of_the_models_that_ship(found: Published, shipped: set[str]) -> None:
    for (system, set_name), run in found.runs.items():
        if system.startswith("pvqe-"):
            assert run.about.split(", ")[1] in shipped, f"publish {system} on {set_name} again"
    assert {file.model_id for file in found.int8} == shipped, "run python -m quantization.publish"
    profiles = {Model.load(name).contract.profiles_of for name in NETWORKS}
    for name, study in found.studies.items():
        of_profiles = study.command == "python -m studies embedding"
        if study.about not in ({*profiles, "Resemblyzer"} if of_profiles else shipped):
            page = next(text for text in map(_read, DOCUMENTS) if f"<!-- table: {name} -->" in text)
            assert f"{study.about}{MARK}" in page, f"run {study.command} --publish"


def test_weights_that_no_longer_ship_are_said_to_be_earlier_ones(shipped: set[str]) -> None:
    now, before = min(shipped), "pvqe-s-0123456789ab"
    text = f"Of {before}, and of {now}."
    assert marked(text) == f"Of {before} (an earlier model), and of {now}."
    assert marked(marked(text)) == marked(text)
    assert marked(f"{now}{MARK}") == now


def _read(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def test_every_model_id_in_a_document_is_one_that_ships(shipped: set[str]) -> None:
    documents = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *MODELS_DIR.glob("*.md")]
    assert len(documents) > 5
    for document in documents:
        assert set(MODEL_ID.findall(document.read_text(encoding="utf-8"))) <= shipped, document.name


def test_a_changed_result_changes_the_document(found: Published) -> None:
    text = (ROOT / RESULTS).read_text(encoding="utf-8")
    int8 = [replace(file, snr_db=12.34, si_sdr_gain_loss_db=0.567, pesq_loss=0.0789) for file in found.int8]
    files = [replace(found.files[0], cpu_s=2.0, peak_rss_mb=70.0), replace(found.files[1], cpu_s=13.0)]
    changed = replace(found, summaries=dict(found.summaries), int8=int8, files=files)
    place = ("pvqe-s", "two-talkers")
    changed.summaries[place] = {at: replace(s, mean=9.87) for at, s in found.summaries[place].items()}
    new = rewritten(RESULTS, text, changed)
    prose = " ".join(new.split())
    assert "pairs 9.9 dB. Clips" in prose and "| 9.9 [" in new and "| 12.3 |" in new
    assert "at most 0.57 dB of SI-SDR gain and 0.079 of PESQ-WB" in prose
    assert "2.0 s of one core and 70 MB, start" in prose and "it is 6.5 times the time" in prose
    with pytest.raises(ValueError, match="lack what a file costs"):
        rewritten(RESULTS, text, replace(changed, files=files[1:]))
    with pytest.raises(ValueError, match="0 times the sentence"):
        rewritten(RESULTS, text.replace("equally loud", "just as loud"), found)
    with pytest.raises(ValueError, match="a table 'systms'"):
        rewritten(RESULTS, text.replace("table: systems", "table: systms"), found)


def test_what_is_above_8_khz_stands_beside_what_is_below(found: Published) -> None:
    changed = replace(found, summaries=dict(found.summaries))
    values = {"level_change_db": -1.23, "level_change_above_db": -4.56}
    summaries = {
        f"right {metric}": Summary(8, value, value, value, value) for metric, value in values.items()
    }
    changed.summaries["pvqe-s", FULL_BAND_CLEAN] = summaries
    changed.summaries["pvqe-s --band 8", FULL_BAND_CLEAN] = {}
    for document, line in (
        ("README.md", "| **edge-pse, pvqe-s** | -1.2 / -4.6 |"),
        ("README.md", "| the same with `--band 8` | - / - |"),
        (RESULTS, "| **edge-pse, pvqe-s** | -1.2 [-1.2, -1.2] | -4.6 [-4.6, -4.6] |"),
        ("edge_pse/models/pvqe-s.md", "| clean: level, dB | -1.2 [-1.2, -1.2] | -4.6 [-4.6, -4.6] |"),
    ):
        text = (ROOT / document).read_text(encoding="utf-8")
        assert f"\n{line}" in rewritten(document, text, changed)


def test_counts_of_instructions_stand_beside_the_times_of_the_same_file_and_runtime(found: Published) -> None:
    document = "targets/raspberry-pi/README.md"
    int8 = [replace(file, frame_ms=7.0, fp32_frame_ms=8.0) for file in found.int8 if file.runtime == "litert"]
    text = rewritten(document, (ROOT / document).read_text(encoding="utf-8"), replace(found, int8=int8))
    counts = json.loads((ROOT / "targets/raspberry-pi/instructions.json").read_text(encoding="utf-8"))
    for name, time in (("pvqe-s.int8", "7.00"), ("pvqe-s.fp32", "8.00"), ("pvqe-s.int8-weights", "-")):
        count = counts[f"{name}.tflite, litert"]
        assert f"| {name}.tflite, LiteRT | {count} | {time} |" in text
    assert f"| pvqe-s.int8.onnx, ONNX Runtime | {counts['pvqe-s.int8.onnx, onnx']} | - |" in text


def test_a_table_of_a_study_stands_where_a_document_asks_for_it(found: Published) -> None:
    text = (ROOT / "docs/privacy.md").read_text(encoding="utf-8")
    other = replace(found.studies["voices by length"], rows=[["1", "99.9 [1.0, 2.0]", "", "", "7"]])
    new = rewritten(
        "docs/privacy.md", text, replace(found, studies={**found.studies, "voices by length": other})
    )
    assert "| 1 | 99.9 [1.0, 2.0] |  |  | 7 |\n<!-- end" in new
    with pytest.raises(ValueError, match="a table 'voices by length'"):
        rewritten("docs/privacy.md", text, replace(found, studies={}))


def test_each_document_has_its_claims() -> None:
    assert {claim.document for claim in CLAIMS} == {*DOCUMENTS} - TABLES_ALONE


def _row(clip: str, profile: str, si_sdr: float, sexes: str) -> Row:
    metrics = {"si_sdr": si_sdr, "si_sdr_gain": si_sdr - 1}
    return Row("it", "two-talkers", clip, profile, {"sexes": sexes, "sir": "0 dB"}, metrics)


def test_what_is_published_is_read_back_and_replaces_the_same_set_alone(tmp_path: Path) -> None:
    result = SystemResult(SystemSpec("model", "it"), SystemInfo("it int8, it-0123", uses_profile=True))
    silenced = {"suppression_db": 10.0, "input_energy": 1.0, "output_energy": 0.1}
    result.rows = [
        _row("a", "right", 4.0, "same"), _row("a", "wrong", -6.0, "same"), _row("b", "right", 8.0, "cross"),
        _row("b", "wrong", -8.0, "cross"),
        Row("it", "interferer-only", "c", "right", {}, silenced),
    ]  # fmt: skip
    file = Int8File("it.int8.onnx", "onnx", "it-0123", 1.2, 0.25, 0.5, 40.0, 41.0, None)
    cost = FileCost("--gently", 1.25, 80.0)
    studies = {"voices": StudyTable("study it", "it-0123", ["of", "is"], [["it", "1 [0, 2]"]])}
    published = Published(
        int8=[file], int8_command="measure it", files=[cost], files_command="measure", studies=studies
    )
    published.add([result], [], "first")
    published.write(tmp_path / "results.json")
    read = Published.load(tmp_path / "results.json")
    gain = read.find("it", "two-talkers", "si_sdr_gain")
    assert gain is not None and (gain.count, gain.mean) == (2, 5.0)
    gap = read.find("it", "two-talkers", GAP, tags={"sexes": "cross"})
    assert gap is not None and gap.mean == gap.median == 16.0
    assert read.find("it", "interferer-only", POOLED) == Summary(1, 10.0, 10.0, 10.0, 10.0)
    assert read.find("it", "two-talkers", "si_sdr_gain", "none") is None
    assert (read.int8, read.int8_command) == ([file], "measure it")
    assert (read.files, read.files_command, read.studies) == ([cost], "measure", studies)
    elsewhere = replace(file, file="it.int8.tflite", runtime="litert")
    read.add_int8([replace(file, snr_db=39.0), elsewhere], "again")
    assert [(file.runtime, file.snr_db) for file in read.int8] == [("litert", 40.0), ("onnx", 39.0)]
    result.rows = result.rows[:1]
    read.add([result], [], "second")
    assert read.runs["it", "two-talkers"].command == "second"
    assert read.runs["it", "interferer-only"].command == "first"
    assert read.find("it", "two-talkers", "si_sdr_gain", tags={"sexes": "cross"}) is None

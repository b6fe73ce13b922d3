"""What the wheel says of its licences, and holds."""

import json
import os
import re
import subprocess
import sys
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

from tests.targets.debian import PROJECT, copy_checkout

MODELS = PROJECT / "edge_pse/models"
ATTRIBUTION = MODELS / "ATTRIBUTION.md"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Name -> content of the licences in the wheel, and what it says of itself."""
    directory = tmp_path_factory.mktemp("wheel")
    checkout = copy_checkout(directory / "checkout")
    for weights in (*checkout.glob("edge_pse/models/*.onnx"), *checkout.glob("edge_pse/models/*.tflite")):
        weights.write_bytes(b"")  # to be packed takes seconds
    build = "from setuptools import build_meta; print(build_meta.build_wheel('.'))"
    done = subprocess.run(
        [sys.executable, "-c", build], cwd=checkout, capture_output=True, text=True, check=True
    )
    with zipfile.ZipFile(checkout / done.stdout.splitlines()[-1]) as archive:
        texts = {
            name.partition("/licenses/")[2]: archive.read(name).decode()
            for name in archive.namelist()
            if ".dist-info/licenses/" in name
        }
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return texts, message_from_string(archive.read(metadata).decode())


def test_the_wheel_says_both_licences_and_carries_both_texts(wheel):
    texts, metadata = wheel
    assert metadata["License-Expression"] == "MIT AND CC-BY-SA-4.0"
    assert set(metadata.get_all("License-File")) == set(texts)
    assert texts["LICENSE"].startswith("MIT License")
    legal = texts["edge_pse/models/LICENSE"]
    assert legal.startswith("Attribution-ShareAlike 4.0 International")
    assert all(f"Section {number} -- " in legal for number in range(1, 9))
    assert texts["edge_pse/models/ATTRIBUTION.md"] == ATTRIBUTION.read_text()


@pytest.mark.parametrize("card", sorted(MODELS.glob("pvqe-*.md")), ids=lambda card: card.stem)
def test_each_card_leads_to_the_attribution(card):
    assert "](ATTRIBUTION.md)" in card.read_text()
    assert "](LICENSE)" in card.read_text()


def test_every_row_names_author_and_licence():
    rows = [line.split("|")[1:-1] for line in ATTRIBUTION.read_text().splitlines() if line.startswith("| ")]
    entries = [row for row in rows if row[1].strip().startswith("`")]
    assert len(entries) > 30
    assert all(cell.strip() for row in entries for cell in row)


def test_every_corpus_of_the_training_data_is_named():
    data = Path(os.environ.get("EDGE_PSE_DATA", ""))
    manifests = [data / f"{kind}.jsonl" for kind in ("speech", "noise", "music", "rir")]
    if not os.environ.get("EDGE_PSE_DATA") or not all(path.exists() for path in manifests):
        pytest.skip("the manifests of the training data lie in the folder that EDGE_PSE_DATA names")
    entries = [json.loads(line) for path in manifests for line in path.read_text().splitlines()]
    trained = {entry["corpus"] for entry in entries if entry["split"] == "train"}
    named = set(re.findall(r"\| `([^`]+)` \|", ATTRIBUTION.read_text()))
    assert trained == named

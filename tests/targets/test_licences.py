"""What the model cards and the attribution say of licences; what the wheel says is in ``tests/packaging``."""

import json
import os
import re
from pathlib import Path

import pytest

from tests.targets.debian import PROJECT

MODELS = PROJECT / "edge_pse/models"
ATTRIBUTION = MODELS / "ATTRIBUTION.md"


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

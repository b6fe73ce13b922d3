"""Ids of weights in documents: those of a model that no longer ships are followed by "(an earlier model)"."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from edge_pse.contract import Contract
from edge_pse.model import MODELS_DIR
from edge_pse.model_file import read_description

MARK = " (an earlier model)"
_ID = re.compile(rf"(pvqe-(?:xs-far|s-far|xs|s)-[0-9a-f]{{12}})\b(?:{re.escape(MARK)})?")


@cache
def shipped_ids(models: Path = MODELS_DIR) -> frozenset[str]:
    """Of the weights in the model files that ship."""
    return frozenset(Contract.of(read_description(path)).model_id for path in models.glob("*.onnx"))


def marked(text: str) -> str:
    """The text with the mark behind every id of other weights than those that ship, and behind no other."""
    return _ID.sub(lambda match: match[1] + ("" if match[1] in shipped_ids() else MARK), text)

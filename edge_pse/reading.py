"""What to read aloud for an enrollment, in several languages."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path

_FILE = Path(__file__).parent / "reading_texts.json"
_DEFAULT = "en"
_SHORT_S = 20.0


@cache
def _texts() -> dict[str, dict[str, list[str]]]:
    content: dict[str, dict[str, list[str]]] = json.loads(_FILE.read_text(encoding="utf-8"))
    return content


def languages() -> list[str]:
    """Codes of the languages there are (ISO 639-1)."""
    return sorted(_texts())


def language_of_locale() -> str:
    """The user's language if there is a text in it, else English."""
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(variable):
            return value[:2].lower() if value[:2].lower() in _texts() else _DEFAULT
    return _DEFAULT


def sentences(language: str, seconds: float = 0.0) -> list[str]:
    """The sentences of a language: three of them, or for more than twenty seconds of speech nine."""
    text = _texts()[language]
    return [*text["sentences"], *(text["further"] if seconds > _SHORT_S else [])]

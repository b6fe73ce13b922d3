"""Text that came from elsewhere, made safe to show: from files, devices, profiles, models."""

from __future__ import annotations

import unicodedata

# Joiners, which several scripts need and no terminal obeys.
_HARMLESS = "\u200c\u200d"


def shown(value: object) -> str:
    r"""``str(value)`` as one line that can't speak to the terminal; plain text stays as it is.

    Control characters and escape sequences, line ends, characters that turn the direction of reading, and what is no
    character (lone surrogates, as in names that are not UTF-8) become what Python writes for them: ``\x1b``,
    ``\u202e``. Markup of Rich stays text only where the console does not read it: ``Console(markup=False)``, or
    ``rich.text.Text``.
    """
    return "".join(_shown(character) for character in str(value))


def cleaned(text: str, longest: int) -> str:
    """What of a text is fit to be kept: without what ``shown`` would spell out, and at most ``longest`` characters."""
    return "".join(_shown(character) for character in text if _fit(character))[:longest]


def _shown(character: str) -> str:
    if character.isprintable() or character in _HARMLESS:
        return character
    if unicodedata.category(character) == "Zs":  # spaces of other widths
        return " "
    return character.encode("unicode_escape").decode("ascii")


def _fit(character: str) -> bool:
    return character.isprintable() or character in _HARMLESS or unicodedata.category(character) == "Zs"

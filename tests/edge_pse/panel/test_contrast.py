"""Whether what is on the page can be told from what is around it, in its light and in its dark colours."""

import re
from pathlib import Path

import pytest

from edge_pse import panel

CSS = (Path(panel.__file__).parent / "page/panel.css").read_text(encoding="utf-8")
BEHIND = ("ground", "card")
TEXTS = ("text", "faint", "accent", "good", "warn", "bad", "other")
LEAST_OF_TEXT, LEAST_OF_EDGES = 4.5, 3.0
"""Web Content Accessibility Guidelines 2.2, level AA: success criteria 1.4.3 and 1.4.11."""


def luminance(colour: str) -> float:
    """Relative, of #rgb or #rrggbb, as the guidelines define it."""
    digits = colour.removeprefix("#")
    parts = [digits[i : i + 2] for i in (0, 2, 4)] if len(digits) == 6 else [digit * 2 for digit in digits]
    shares = [int(part, 16) / 255 for part in parts]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """From 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.fixture(params=["light", "dark"])
def colours(request):
    palettes = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
    assert len(palettes) == 2
    return dict(re.findall(r"--([\w-]+): (#\w+);", palettes[request.param == "dark"]))


@pytest.mark.parametrize("behind", BEHIND)
@pytest.mark.parametrize("text", TEXTS)
def test_text(colours, text, behind):
    assert contrast(colours[text], colours[behind]) >= LEAST_OF_TEXT


def test_text_of_buttons(colours):
    assert contrast(colours["on-accent"], colours["accent"]) >= LEAST_OF_TEXT


@pytest.mark.parametrize("behind", BEHIND)
def test_edges_of_fields(colours, behind):
    (edge,) = re.findall(r"input:not\([^{]*\{[^}]*border: 1px solid var\(--([\w-]+)\)", CSS)
    assert contrast(colours[edge], colours[behind]) >= LEAST_OF_EDGES

"""Streams of 8 kHz: the ways to show them, what the study writes, and the page that is made of it."""

import json

import numpy as np
import pytest
import soxr

from evaluation.sets.build import narrow_band
from studies.narrow_band import measuring, page, ways

FILLED = [name for name, way in ways.WAYS.items() if not way.enrolls]


@pytest.fixture
def narrow(recording):
    return soxr.resample(recording("ls367_speech")[:32_000], 16_000, 8_000)


@pytest.mark.parametrize("name", ways.WAYS)
def test_each_way_leads_back_to_the_stream(name, narrow, model):
    way = ways.WAYS[name]
    back = way.back(model, way.shown(model, narrow), narrow.size)
    assert back.size == narrow.size
    left = np.sum((back - narrow) ** 2) / np.sum(narrow**2)
    assert 10 * np.log10(left) < (-30 if name in FILLED else -10)


def test_the_noise_is_above_4_khz_and_as_faint_as_said(narrow, model):
    zeros, noise = (ways.WAYS[name].shown(model, narrow) for name in (ways.ZEROS, ways.steady(-60)))
    assert not zeros[:, 80:].any() and zeros[:, :80].any()
    np.testing.assert_array_equal(noise[:, :80], zeros[:, :80])
    power = 2 / (320 * 160) * np.mean(np.sum(np.abs(noise[:, 80:]) ** 2, axis=1))
    assert 10 * np.log10(power) == pytest.approx(-60, abs=0.2)


def test_the_study_scores_each_way_and_keeps_what_it_knew(study, data, build, tmp_path, monkeypatch):
    builder, results = build("narrow-band"), tmp_path / "results.json"
    narrow_band(builder)
    monkeypatch.setattr(measuring, "read_scenes", lambda _path: builder.scenes[5::20])
    monkeypatch.setattr("studies.microphones.ENROLLMENT_SECONDS", 3.0)
    for way in (ways.ZEROS, page.SHIPPED):
        result = study("narrow-band", "--data", data, "--every", 4, "--way", way, "--results", results)
        assert result.exit_code == 0, result.output
    found = json.loads(results.read_text())
    assert len(found["talkers"]) == 6 and len(found["clips"]) == 1
    for row in (*found["talkers"], *found["clips"]):
        assert list(row["ways"]) == [ways.ZEROS, page.SHIPPED]
    alone = [row for row in found["talkers"] if row["case"] == measuring.ALONE]
    assert all(of[measuring.LEVEL] < 1 for row in alone for of in row["ways"].values())


def test_the_page_is_that_of_the_results():
    others = [page.read(path) for path in page.OTHER_NETWORKS]
    assert page.page(page.read(measuring.RESULTS), others) == page.PAGE.read_text()

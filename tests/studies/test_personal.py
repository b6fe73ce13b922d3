"""What a network gains that goes on learning one voice: cells are kept as they come, and the page is made of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soxr
import torch
from click.testing import Result

from evaluation.metrics.signal import SAMPLE_RATE_HZ
from evaluation.published import PUBLISHED, Published
from evaluation.sets.corpus import Talker
from evaluation.sets.scene import Segment
from studies.personal import clips, command, learning, page, results, voices
from studies.personal.clips import ROWS
from studies.personal.command import CHECKPOINTS, in_fp32, in_int8
from studies.personal.results import GENERAL, RECIPE, Cell
from training.checkpoint import load_checkpoint
from training.dev import enhance
from training.simulation.corpus import Bank, Track

PLOT_HEADER = b"\x89PNG"


@pytest.fixture
def short_readings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the fixtures, there are some fifteen seconds a voice."""
    monkeypatch.setattr(voices, "READINGS_S", (9.0,))
    monkeypatch.setattr(voices, "SHORTEST_SET_ASIDE_S", 9.0)
    monkeypatch.setattr(voices, "LEAST_REST_S", 5.0)


def test_cells_are_kept_as_they_come_and_not_measured_again(
    study: Callable[..., Result], data: Path, tmp_path: Path, short_readings: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    file = tmp_path / "results.jsonl"
    arguments = (
        "personal", "--data", data, "--network", "pvqe-xs", "--speaker", "ls1688",
        "--minutes", 2, "--step-ms", 60_000, "--clips", 1, "--threads", 1, "--results", file,
        "--weights", tmp_path / "weights",
    )  # fmt: skip
    monkeypatch.setattr(command, "LIKENESS_S", 1.0)
    result = study(*arguments, "--variant", RECIPE, "--minutes", 1)
    assert result.exit_code == 0, result.output
    cells = results.read(file)
    assert [(c.variant, c.minutes, c.run_minutes, c.steps) for c in cells] == [
        (GENERAL, 0, 0, 0), (RECIPE, 1, 2, 1), (RECIPE, 2, 2, 2),
    ]  # fmt: skip
    general, one, two = cells
    assert one.ms_a_step > 0 and one.seconds == 9 and one.recipe == two.recipe != general.recipe
    assert general.scores.keys() == {row.of for row in ROWS.values()}
    for name in ROWS:
        assert abs(two.row(name) - general.row(name)) < 3 or ROWS[name].unit.startswith("%"), (
            "two steps change little"
        )
    assert general.scores != one.scores != two.scores
    assert f"pvqe-xs, 1 voices, 1, 2 minutes of learning, recipe {one.recipe}" in result.stdout
    assert len(re.findall(r"-?\d+\.\d", result.stdout)) >= 7 * len(ROWS)

    before = file.read_bytes()
    monkeypatch.setattr(learning, "learn_voice", lambda *_, **__: pytest.fail("it was there"))
    again = study(*arguments, "--variant", RECIPE, "--minutes", 1)
    assert again.exit_code == 0 and result.stdout.endswith(again.stdout) and file.read_bytes() == before
    half = study(*arguments, "--variant", learning.MEAN)
    assert half.exit_code == 0, half.output
    *_, last = results.read(file)
    assert (last.variant, last.steps) == (learning.MEAN, 2) and last.scores != two.scores


def test_a_voice_with_too_few_recordings_is_named_as_such(study: Callable[..., Result], data: Path) -> None:
    result = study("personal", "--data", data, "--seconds", 60)
    assert result.exit_code == 1
    assert "No dev speaker has 72 s of recordings." in result.stderr


@pytest.mark.parametrize("prepare", [learning.with_low_rank, learning.with_shifted_profile])
def test_what_is_added_begins_as_nothing_and_ends_in_the_network_itself(prepare: Callable) -> None:
    general, _ = load_checkpoint(CHECKPOINTS / "pvqe-xs.pt")
    torch.manual_seed(0)
    changed = prepare(general).eval()
    noisy, profile = torch.randn(1, 4000), torch.randn(1, general.config.taken_size)
    assert torch.allclose(enhance(changed, noisy, profile), enhance(general, noisy, profile), atol=1e-5)
    added = [p for name, p in changed.named_parameters() if name.split(".")[-1].startswith(("up", "shift"))]
    with torch.no_grad():
        for parameter in added:
            parameter.add_(0.1 * torch.randn_like(parameter))
    output = enhance(changed, noisy, profile)
    whole = learning.merged(changed)
    assert whole.state_dict().keys() == general.state_dict().keys()
    assert not torch.allclose(output, enhance(general, noisy, profile), atol=1e-3)
    assert torch.allclose(output, enhance(whole, noisy, profile), atol=1e-4)


def test_every_variant_is_a_recipe_that_the_network_can_learn_by() -> None:
    from training.personal import SCHEDULE
    from training.schedule import load_schedule
    from training.train import check_fits

    general, _ = load_checkpoint(CHECKPOINTS / "pvqe-xs.pt")
    (recipe,) = load_schedule(SCHEDULE)
    stages = {name: variant.stage(recipe) for name, variant in learning.VARIANTS.items()}
    for name, variant in learning.VARIANTS.items():
        check_fits(variant.prepare(general), stages[name])
    same = {name for name, stage in stages.items() if stage == recipe}
    assert same == {RECIPE, learning.AGAINST, "others at three speeds"}, "these differ in whom they hear"
    assert learning.fingerprint(recipe) == learning.fingerprint(replace(recipe, steps=7))
    assert learning.fingerprint(recipe) != learning.fingerprint(replace(recipe, learning_rate=1.0))


def test_a_voice_at_another_speed_is_the_same_speaker_and_as_long_as_it_takes(
    recording: Callable[[str], np.ndarray],
) -> None:
    samples = np.concatenate([recording("ls367_speech"), recording("ls2033_speech")])
    first = recording("ls367_speech").size
    tracks = [Track("anna", 0, first, 0.1, (0, 16_000)), Track("ben", first, samples.size - first, 0.2)]
    bank = learning.at_speeds(Bank(torch.from_numpy((samples * 32767).astype(np.int16)), tracks))
    assert bank.tracks[:2] == tracks and len(bank.tracks) == 2 * (1 + len(learning.SPEEDS))
    slower = bank.tracks[2]
    assert slower.name == "anna@0.92" and slower.level == 0.1
    assert slower.length == pytest.approx(first / 0.92, abs=2) and slower.boundaries == (
        0,
        round(16_000 / 0.92),
    )
    whole, stretched = bank.cut([0, 2], [0, 0], first).numpy()
    heard = soxr.resample(whole, 0.92 * SAMPLE_RATE_HZ, SAMPLE_RATE_HZ)[:first]
    assert np.corrcoef(heard, stretched)[0, 1] > 0.999


def test_int8_hears_what_fp32_hears(recording: Callable[[str], np.ndarray]) -> None:
    from edge_pse.enrollment import conditioning
    from edge_pse.model import Model

    network, _ = load_checkpoint(CHECKPOINTS / "pvqe-xs.pt")
    reading, noisy = recording("ls367_enrollment")[:64_000], recording("ls367_speech")[:32_000]
    profile = torch.from_numpy(conditioning(reading, Model.load("pvqe-xs.fp32").profile_network()))
    whole, small = (run(network, profile)([noisy])[0] for run in (in_fp32, in_int8))
    assert 15 < 10 * np.log10(np.sum(whole**2) / np.sum((whole - small) ** 2)) < 60


def test_who_comes_through_and_who_is_gone(recording: Callable[[str], np.ndarray]) -> None:
    wanted, other = (recording(f"{name}_speech")[: 5 * SAMPLE_RATE_HZ] for name in ("ls367", "ls2033"))
    mixture = wanted + other
    trials = [
        clips.Trial(clips.SAME, mixture, wanted, other), clips.Trial(clips.ABSENT, other),
        clips.Trial(clips.ALONE, wanted, wanted),
    ]  # fmt: skip
    kept = clips.score(lambda mixtures: [wanted + 0.1 * other, 0.1 * other, 0.5 * wanted], trials)
    lost = clips.score(lambda mixtures: [0.1 * wanted + other, other, 0.01 * wanted], trials)
    assert kept[clips.WRONG] == [0] and lost[clips.WRONG] == [100]
    assert kept[clips.SAME][0] > 10 > 0 > lost[clips.SAME][0]
    assert kept[clips.ABSENT] == [20.0] and lost[clips.ABSENT] == [0.0]
    assert kept[clips.LEVEL] == [-6.02] and kept[clips.LOST] == [0] and lost[clips.LOST][0] > 50


def cell(voice: str, variant: str, minutes: float, gain: float, **others: object) -> Cell:
    scores = {row.of: [gain - 1, gain, gain + 1] for row in ROWS.values()}
    made = Cell(
        "pvqe-s", voice, "corpus", "F", 30.0, variant, minutes, 3.0 if minutes else 0.0, "fp32",
        "ab" if minutes else "", round(60 * minutes), 1500.0, 1, "pvqe-s-0", 3, scores,
    )  # fmt: skip
    return replace(made, **others)


def test_the_page_says_what_is_gained_and_what_is_missing(
    study: Callable[..., Result], tmp_path: Path
) -> None:
    file = tmp_path / "results.jsonl"
    for number, voice in enumerate(("a", "b")):
        results.add(file, [
            cell(voice, GENERAL, 0, 3.0 + number), cell(voice, RECIPE, 1, 99.0, recipe="older"),
            cell(voice, RECIPE, 1, 4.0 + number), cell(voice, RECIPE, 3, 5.0 + number),
            cell(voice, learning.AGAINST, 3, 5.5 + number), cell(voice, RECIPE, 1, 4.25 + number, run_minutes=1),
            cell(voice, "low rank", 1, 4.5 + number, run_minutes=1),
        ])  # fmt: skip
    result = study("personal-page", "--results", file, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    text = (tmp_path / page.PAGE).read_text()
    (row,) = (line for line in text.splitlines() if line.startswith("| same sex | SI-SDR gain, dB |"))
    cells = row.split(" | ")
    assert [cells[2], cells[3], cells[4]] == ["3.5 [3.0, 4.0]", "4.5 [4.0, 5.0]", "5.5 [5.0, 6.0]"]
    assert cells[5:8] == ["+2.0 [+2.0, +2.0]", "+2.0", "0 of 2 |"]
    assert "60 steps after 1, 180 steps after 3" in text
    assert "| 1 | a moment of 3 | 2 | +1.0 [+1.0, +1.0] |" in text
    assert "| 1 | a run of its own | 2 | +1.2 [+1.2, +1.2] |" in text
    (variant,) = (line for line in text.splitlines() if line.startswith("| low rank |"))
    assert "| 1 | 2 | +0.2 [+0.2, +0.2] |" in variant, "beside a run as long"
    assert "| 3 | known | 2 | 6.0 [5.5, 6.5] |" in text
    assert "| all that the voice has | 2 of 16 | 2 of 16 | 0 of 16 | 0 of 16 |" in text
    assert "- low rank: 2 of 4 voices" in text and f"- {learning.AGAINST}: 2 of 4 voices" in text
    assert "2 cells of another recipe" in text and "99" not in text
    assert (tmp_path / page.PLOT).read_bytes().startswith(PLOT_HEADER)


def test_what_is_measured_anew_takes_the_page_over_with_as_many_voices() -> None:
    def of(base: str, voices: str) -> list[Cell]:
        return [
            cell(voice, variant, minutes, 3.0, base=base)
            for voice in voices
            for variant, minutes in ((GENERAL, 0), (RECIPE, 3))
        ]

    before = of("pvqe-s-0", "ab")
    assert "Learnt from pvqe-s-0; 2 voices" in page.written([*before, *of("pvqe-s-1", "a")])
    assert "Learnt from pvqe-s-1; 2 voices" in page.written([*before, *of("pvqe-s-1", "ab")])


def test_the_page_is_that_of_the_cells_of_the_project() -> None:
    """Written anew by ``python -m studies personal-page --publish`` after each cell that is added."""
    cells = results.read(results.RESULTS)
    text = (page.DOCS / page.PAGE).read_text(encoding="utf-8")
    assert text == page.written(cells)
    published = Published.load(PUBLISHED).studies[page.PUBLISHED_AS]
    assert (published.header, published.rows) == page.short_table(page.Known.of(cells))
    (same, *_), *_ = published.rows
    assert same.startswith("same sex") and f"| {published.rows[0][1]} [" in text


def test_weights_are_kept_with_the_seconds_of_a_reading_as_plain_numbers() -> None:
    reading = (Segment("a.opus", 0.0, np.float64(9.04)), Segment("b.opus", 0.0, np.float64(1.0)))
    assert type(voices.reading_seconds(Talker("a", "corpus", None, None, (), reading))) is float


def test_a_later_cell_takes_the_place_of_the_same_earlier(tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    results.add(file, [cell("a", RECIPE, 1, 1.0), cell("b", RECIPE, 1, 2.0)])
    results.add(file, [cell("a", RECIPE, 1, 3.0), cell("b", RECIPE, 1, 4.0, base="pvqe-s-1")])
    assert [(c.voice, c.row(clips.SAME)) for c in results.read(file)] == [("b", 2.0), ("a", 3.0), ("b", 4.0)]
    file.write_text('{"other": 1}\n')
    with pytest.raises(ValueError, match="something else than cells"):
        results.read(file)

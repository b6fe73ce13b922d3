"""Where the embedding is taken, and how many numbers it has: what the taps give, known answers, the command."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from edge_pse import Model
from edge_pse.enrollment import embed
from evaluation.sets.corpus import Talker
from studies.embedding import Piece
from studies.questions import network as questions
from studies.questions.activations import SHIPPED, Components, Parts, separability, tapped
from studies.questions.command import CHECKPOINT
from studies.questions.network import Halves, embedding_size, tap_point
from studies.questions.page import PAGE
from training.checkpoint import load_checkpoint
from training.network import Network


@pytest.fixture(scope="module")
def network() -> Network:
    torch.set_num_threads(1)
    return load_checkpoint(CHECKPOINT)[0]


def talker(name: str) -> Talker:
    return Talker(name, "corpus", "F", None, (), ())


def pieces(vectors: np.ndarray) -> list[Piece]:
    return [Piece(talker(str(i)), {5: vector}, np.zeros(2)) for i, vector in enumerate(vectors)]


def test_the_shipped_tap_is_what_the_device_enrolls(network, recording):
    speech = recording("ls1688_enrollment")[: 4 * 16_000]
    outputs = tapped(network, speech)
    assert [output.shape[1] for output in outputs.values()] == [240, 240, 256, 256, 256]
    alone = embed(speech, Model.load("pvqe-s.fp32"))
    assert np.abs(outputs[SHIPPED].mean(0).numpy() - alone).max() < 1e-3
    assert not network.gru1._forward_hooks


def test_all_variance_between_speakers_is_all_and_none_is_none():
    random = np.random.default_rng(0)
    speakers = [talker(str(i // 4)) for i in range(80)]
    centres = random.normal(size=(20, 8)).repeat(4, axis=0)
    assert separability(centres + 1e-3 * random.normal(size=(80, 8)), speakers).mean > 0.99
    nothing = separability(random.normal(size=(80, 8)), speakers)
    assert abs(nothing.mean) < 0.2 and nothing.low < nothing.mean < nothing.high


def test_components_give_back_what_they_were_made_of():
    random = np.random.default_rng(0)
    vectors = random.normal(size=(30, 3)) @ random.normal(size=(3, 16)) + 5
    components = Components.of(vectors)
    assert np.allclose(components.reduced(vectors, 3), vectors)
    assert not np.allclose(components.reduced(vectors, 2), vectors)
    assert components.numbers(vectors, 2).shape == (30, 2)


def test_nobody_is_described_by_components_of_their_own_half():
    """The first half speaks along one axis, the second along another: of the own axis nothing is left."""
    random = np.random.default_rng(0)
    vectors = np.zeros((8, 5, 4))
    for number in range(8):
        vectors[number, :, number % 2] = random.normal(size=5)
    parts = Parts(pieces(vectors[:4].reshape(4, 20)), pieces(vectors[:4].reshape(4, 20)))
    halves = Halves([talker(str(i)) for i in range(4)], parts)
    profile = np.array([3.0, 0, 0, 0])
    assert halves.reduced(1, "0", profile)[0] == pytest.approx(0)
    assert halves.reduced(1, "1", profile)[0] == pytest.approx(3)
    assert not halves.alike(talker("0"), talker("1")) and halves.alike(talker("0"), talker("2"))


def rows(table: str) -> list[list[str]]:
    return [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]


def test_every_tap_has_a_row_for_either_pooling(network, data):
    answer = tap_point(network, data, "command")
    found = rows(answer.table)
    assert [row[2] for row in found] == ["240", "480", "240", "480", *["256", "512"] * 3]
    assert not any("nan" in cell for row in found for cell in row[:5])


def test_a_profile_of_no_size_is_worth_less_than_one_as_it_is(network, data):
    answer = embedding_size(network, data, "command", clips=2, sizes=(1, 200))
    found = rows(answer.table)
    assert [row[0] for row in found] == ["1", "200", "as it is"]
    assert found[-1][3] == "0.0 [0.0, 0.0]"
    gaps = [float(row[4].split()[0]) for row in found]
    assert gaps[0] < gaps[2]


def test_the_command_writes_to_the_page(study, data, tmp_path, monkeypatch):
    monkeypatch.setitem(questions.QUESTIONS, "size", partial(embedding_size, clips=1, sizes=(8,)))
    result = study("questions", "size", "--data", data, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert "| 8 |" in (tmp_path / PAGE).read_text()
    assert (tmp_path / "questions-size.png").read_bytes().startswith(b"\x89PNG")


def test_something_else_than_a_checkpoint_is_refused(study, data, tmp_path):
    other = tmp_path / "other.pt"
    torch.save({"schema_version": 0}, other)
    result = study("questions", "tap", "--checkpoint", other, "--data", data, "--out", tmp_path / "out")
    assert result.exit_code == 1 and "schema" in result.output
    assert not (tmp_path / "out").exists()

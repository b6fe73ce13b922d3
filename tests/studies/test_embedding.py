"""What the embedding is worth: error rates whose answer is known, and every table on a small data folder."""

import numpy as np
import pytest

from edge_pse.enrollment import embed
from evaluation.published import Published
from evaluation.sets.corpus import Talker
from studies.embedding import (
    LENGTHS,
    PUBLISHED_AS,
    Embedder,
    Piece,
    Trials,
    any_other,
    embed_prefixes,
    explained,
    mean_spectrum_db,
    measure,
    publish,
    report,
    same_corpus_and_sex,
)


def talker(name, sex="F"):
    return Talker(name, "corpus", sex, None, (), ())


def pieces(vectors, sexes="FFMM"):
    return [
        Piece(talker(str(i), sex), {5: np.array(vector, float)}, np.zeros(2))
        for i, (vector, sex) in enumerate(zip(vectors, sexes, strict=True))
    ]


def test_voices_that_lie_apart_are_never_confused():
    corners = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (-1, -1, -1)]
    rate = Trials.of(pieces(corners), pieces(corners), 5).error_rate(any_other)
    assert (rate.value, rate.low, rate.high, rate.pairs) == (0, 0, 0, 4)


def test_chance_is_half_and_only_those_alike_count():
    # The two of a sex are each other's double; between the sexes nothing is confused.
    first, second = (
        pieces([(1, 0.1), (1, -0.1), (-1, 0.1), (-1, -0.1)]),
        pieces([(1, -0.1), (1, 0.1), (-1, -0.1), (-1, 0.1)]),
    )
    trials = Trials.of(first, second, 5)
    assert trials.error_rate(same_corpus_and_sex).value == pytest.approx(1.0)
    assert trials.error_rate(any_other).value < 0.5


def test_pieces_without_the_length_take_no_part():
    some = pieces([(1, 0), (0, 1), (1, 1), (1, 2)])
    assert Trials.of(some[:3], some, 5).cosines.shape == (3, 4)
    assert not Trials.of(some, some, 10).cosines.size


def test_a_prefix_is_embedded_as_enrollment_embeds_it(model, recording):
    speech = recording("ls1688_enrollment")
    prefixes = embed_prefixes(model, speech[: 6 * 16_000], (2, 5, 10))
    assert sorted(prefixes) == [2, 5]
    alone = embed(speech[: 5 * 16_000], model)
    assert np.linalg.norm(prefixes[5] - alone) < 0.02 * np.linalg.norm(alone)


def test_what_depends_on_the_features_is_explained_and_chance_is_not():
    random = np.random.default_rng(1)
    features, speakers = random.normal(size=(80, 8)), [str(i // 4) for i in range(80)]
    assert explained(features, features @ random.normal(size=(8, 3)), speakers) > 0.9
    assert explained(features, random.normal(size=(80, 3)), speakers) < 0.1


def test_every_table_is_printed(data):
    """With the spectrum in the place of the embedding, since it is the tables that are looked at."""

    def embed_spectrum(samples, lengths_s):
        ends = {seconds: seconds * 16_000 for seconds in lengths_s}
        return {s: mean_spectrum_db(samples[:end]) for s, end in ends.items() if end <= len(samples)}

    text = report(measure(Embedder(data, embed_spectrum)), talkers=4)
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    assert [row[0].strip("| ") for row in rows if row[0].strip("| ").isdigit()] == ["1", "2", "3", "5"]
    assert sum("dB SNR" in row[1] for row in rows) == 3 and sum("headset" in row[0] for row in rows) == 2
    assert "sex of an adult" in text and "nan" not in text.split("Ridge")[0].split("corpus and sex")[0]


def test_published_tables_of_the_reference_stand_beside_those_of_the_model(tmp_path):
    path = tmp_path / "results.json"
    Published().write(path)
    for reference, about in ((False, "it-0123"), (True, "Resemblyzer")):
        tables = {heading: (["of", "what"], [[about, heading]]) for heading in PUBLISHED_AS}
        publish(tables, reference, about, path)
    found = Published.load(path).studies
    assert len(found) == 2 * len(PUBLISHED_AS)
    own, other = found["voices by length"], found["voices by length of Resemblyzer"]
    assert (own.about, own.rows) == ("it-0123", [["it-0123", LENGTHS]])
    assert (other.command, other.about) == ("python -m studies embedding --resemblyzer", "Resemblyzer")


def test_missing_data_is_one_sentence(study, tmp_path):
    result = study("embedding", "--data", tmp_path / "none")
    assert result.exit_code == 1 and "does not exist" in result.output

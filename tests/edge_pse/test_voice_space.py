"""Where embeddings are compared."""

import base64

import numpy as np
import pytest

from edge_pse.voice_space import VoiceSpace, direction_type


def encoded(*directions, size=3):
    return base64.b64encode(np.array(list(directions), direction_type(size)).tobytes()).decode()


SIMPLE = encoded((0.5, -5, (2, 0, 0)), (1, 0, (0, 0, 1)))


def test_without_directions_embeddings_are_compared_as_they_are():
    one, other = np.array([1.0, 0.0]), np.array([1.0, 1.0])
    assert VoiceSpace().cosine(one, 3 * one) == pytest.approx(1)
    assert VoiceSpace().cosine(one, other) == pytest.approx(np.sqrt(0.5))
    assert VoiceSpace().cosine(one, np.zeros(2)) == 0


def test_what_all_share_and_what_says_nothing_does_not_count():
    # The first number is about 5 for everybody, the second is noise, the third is the voice.
    space = VoiceSpace.decode(SIMPLE, 3)
    one, same, other = np.array([[5.0, 9, 2], [5, -9, 3], [5, 9, -2]])
    assert space.cosine(one, same) == pytest.approx(1)
    assert space.cosine(one, other) == pytest.approx(-1)
    assert VoiceSpace().cosine(one, same) < 0 < VoiceSpace().cosine(one, other)
    projected = space.project(np.stack([one, same, other]).astype(np.float32))
    np.testing.assert_allclose(projected, [[0, 1], [0, 1], [0, -1]])
    assert space == VoiceSpace.decode(SIMPLE, 3) != VoiceSpace()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("?", "base64"),
        (encoded((1, 0, (0, 0)), size=2), "embeddings of 3"),
        (encoded((np.nan, 0, (0, 0, 1))), "numbers that are none"),
    ],
)
def test_what_is_no_voice_space_is_refused(text, what):
    with pytest.raises(ValueError, match=what):
        VoiceSpace.decode(text, 3)


def test_the_shipped_model_has_one_that_tells_voices_apart_better(model, recording):
    """Two recordings of each of two men: the margin between one voice and two is wider than without."""
    from edge_pse import enroll

    names = ("ls2033", "ls3080")
    first, second = (
        [enroll(recording(f"{name}_{part}"), 16_000, model=model).embedding for name in names]
        for part in ("enrollment", "speech")
    )

    def margin(space):
        cosines = space.project(np.stack(first)) @ space.project(np.stack(second)).T
        return cosines.diagonal().min() - max(cosines[0, 1], cosines[1, 0])

    assert margin(model.contract.voice_space) > margin(VoiceSpace()) + 0.1

"""Personal weights of models that ship, made without learning: their own numbers, a little changed or as they are."""

import dataclasses

import numpy as np

from edge_pse import Model, Profile
from edge_pse.model_file import extract_weights, read_model, weight_ranges
from edge_pse.profiles import PersonalFile, PersonalNetwork, PersonalWeights

SENTENCES = (
    "Others of your sex: 1.3 dB more is taken away.",
    "Others alone: 12 dB more.",
    "Noise: as before.",
)


def weights_of(model: Model, change: float = 0.0, seed: int = 0) -> bytes:
    """The trained numbers of a model file, each of an fp32 file ``change`` times a normal number off, of itself."""
    content, description = read_model(model.path)
    weights = extract_weights(content, weight_ranges(description, len(content)))
    if not change:
        return weights
    assert model.contract.precision == "fp32"
    numbers = np.frombuffer(weights, "<f4")
    noise = np.random.default_rng(seed).standard_normal(numbers.size, np.float32)
    return (numbers * (1 + np.float32(change) * noise)).tobytes()


def with_personal(profile: Profile, model: Model, weights: bytes, **details: object) -> Profile:
    """The profile with ``weights`` as what the network of ``model`` has learnt of it."""
    fields = {
        "model_id": model.contract.model_id, "created": "2025-11-29T12:00:00+00:00", "reading_seconds": 60.0,
        "minutes": 9.8, "against": 1, "sentences": SENTENCES, "scores": {},
        "files": {model.file_name: PersonalFile(model.sha256, weights)}, **details,
    }  # fmt: skip
    personal = PersonalWeights(profile.id, {model.contract.network: PersonalNetwork(**fields)})
    return dataclasses.replace(profile, personal=personal)

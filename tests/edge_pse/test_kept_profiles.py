"""Profiles outlive the weights that made them where the next ones make the same, which keep the id of those."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from edge_pse import Enhancer, Model, ModelError, ProfileStore, enroll
from edge_pse.model import MODELS_DIR
from edge_pse.model_file import description_path, read_description, write_description

NEW_ID = "pvqe-s-0123456789ab"


def renamed(name: str, folder: Path, **fields: str) -> Path:
    """A copy of a shipped model with other fields in its description."""
    path = folder / f"{name}.fp32.onnx"
    shutil.copy(MODELS_DIR / path.name, path)
    shutil.copy(description_path(MODELS_DIR / path.name), description_path(path))
    write_description(path, {**read_description(path), **fields})
    return path


@pytest.fixture
def old() -> Model:
    return Model.load("pvqe-s.fp32", "onnx")


@pytest.fixture
def new(old: Model, tmp_path: Path) -> Model:
    return Model.load(renamed("pvqe-s", tmp_path, model_id=NEW_ID, profiles_of=old.contract.profiles_of))


def test_new_weights_take_the_profiles_of_old_ones_and_make_such(old, new, female_profile, recording):
    assert new.contract.model_id == NEW_ID != old.contract.model_id
    assert new.contract.makes_profiles and new.profile_network() is new
    female_profile.check_model(new.contract.profiles_of)
    mixture = recording("ls367_speech")[:32_000]
    wanted = Enhancer(old, female_profile).enhance(mixture, 16_000)
    assert np.array_equal(Enhancer(new, female_profile).enhance(mixture, 16_000), wanted)

    profile = enroll(recording("ls2033_enrollment"), 16_000, model=new)
    assert profile.model_id == old.contract.profiles_of
    for model in (old, Model.load("pvqe-xs"), Model.load("pvqe-s-far")):
        assert Enhancer(model, profile).profiles == (profile,)


def test_other_networks_take_what_the_network_beside_them_makes(new, tmp_path):
    light = Model.load(renamed("pvqe-xs", tmp_path))
    assert light.profile_network().contract == new.contract
    renamed("pvqe-s", tmp_path, model_id=NEW_ID, profiles_of=NEW_ID)
    with pytest.raises(ModelError, match=f"{NEW_ID}, does not make: install both"):
        light.profile_network()
    # A name of a file makes no profiles.
    shutil.copy(light.path, new.path)
    shutil.copy(description_path(light.path), description_path(new.path))
    with pytest.raises(ModelError, match="does not make: install both"):
        light.profile_network()


def test_commands_add_to_profiles_of_old_weights(new, female_profile, fixtures, run):
    store = ProfileStore()
    store.save(female_profile)
    name = female_profile.name
    recorded = fixtures / "ls367_enrollment.opus"
    result = run("enroll", name, recorded, "--add", "--model", new.path)
    assert result.exit_code == 0, result.output
    assert store.load(name).model_id == female_profile.model_id
    assert len(store.load(name).recordings) == len(female_profile.recordings) + 1
    result = run("enroll", "again", recorded, "--model", new.path)
    assert result.exit_code == 0 and store.load("again").model_id == female_profile.model_id

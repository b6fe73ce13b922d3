"""Whether profiles are private, whole and of this model."""

import dataclasses
import os
import stat

import pytest

from edge_pse import Model, ProfileStore
from edge_pse.diagnosis.voices import profiles
from edge_pse.profiles import SUFFIX
from edge_pse.targets import Settings


@pytest.fixture
def store(home, female_profile):
    store = ProfileStore()
    store.save(female_profile)
    return store


def test_before_the_first_profile(home):
    found = profiles()
    assert found.status == "ok"
    assert str(home) in found.sentence


def test_as_the_store_writes_them_they_are_private(store):
    found = profiles()
    assert found.status == "ok", found
    assert found.sentence.startswith(f"1 in {store.root}")


def test_a_profile_that_others_can_read_fails_and_the_advice_helps(store, female_profile):
    path = store.root / f"{female_profile.name}{SUFFIX}"
    path.chmod(0o640)
    found = profiles()
    assert found.status == "fail"
    assert path.name in found.sentence
    assert os.system(found.advice) == 0
    assert profiles().status == "ok"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert store.load(female_profile.name).name == female_profile.name


def test_a_directory_that_others_can_list_is_told(store):
    store.root.chmod(0o755)
    assert profiles().status == "warn"


def test_a_damaged_profile_and_one_of_another_model_are_named(store, female_profile):
    store.save(dataclasses.replace(female_profile, name="old", model_id="pvqe-s-of-before"))
    path = store.root / f"torn{SUFFIX}"
    path.write_text("{")
    path.chmod(0o600)
    found = profiles()
    assert found.status == "warn"
    assert "torn (damaged)" in found.sentence
    assert "old (made with pvqe-s-of-before" in found.sentence
    assert female_profile.name not in found.sentence


def test_a_directory_of_somebody_else_fails(store):
    if os.geteuid() != 0:
        store.root.chmod(0o500)
        assert profiles().status == "fail"
        store.root.chmod(0o700)
        return
    parents = [p for p in store.root.parents if not p.stat().st_mode & stat.S_IXOTH]
    for parent in parents:
        parent.chmod(0o711)
    try:
        os.seteuid(65534)
        assert profiles().status == "fail"
    finally:
        os.seteuid(0)
        for parent in parents:
            parent.chmod(0o700)


@pytest.mark.parametrize("network", ["pvqe-xs", "pvqe-s-far"])
def test_profiles_fit_the_networks_that_take_them(store, monkeypatch, network):
    monkeypatch.setattr(Settings, "load_model", lambda settings: Model.load(network))
    found = profiles()
    assert found.status == "ok", found

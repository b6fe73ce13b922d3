"""Gathering a voice from what is heard anyway, with the shipped model and real voices."""

import shutil
import threading
from functools import cache

import numpy as np
import pytest

from edge_pse import Enhancer, ProfileStore, enroll
from edge_pse.cli.auto_enroll import StreamEnrollment
from edge_pse.enrollment.automatic import AutoEnrollment, Rule
from edge_pse.enrollment.verification import NO_MATCH_COSINE
from edge_pse.errors import ProfileError
from edge_pse.voice_space import VoiceSpace
from tests.edge_pse.learnt import weights_of, with_personal

cosine = VoiceSpace().cosine  # of embeddings as they are
HOP_SECONDS = 0.01
QUIET = 10 ** (-80 / 20)


@pytest.fixture(scope="module")
def voice(recording):
    """``voice("ls2033", seconds)`` -> a speaker, over and over, at -26 dBFS in a quiet room."""

    def read(speaker, seconds):
        both = np.concatenate([recording(f"{speaker}_enrollment"), recording(f"{speaker}_speech")])
        long = np.resize(both * 0.05 / np.sqrt(np.mean(both**2)), round(seconds * 16_000))
        return (long + np.random.default_rng(0).normal(0, QUIET, long.size)).astype(np.float32)

    return read


@pytest.fixture(scope="module")
def hops(model, voice):
    """``hops("ls367", db)`` -> what the network hears in a minute of a speaker, at -26 dBFS and so many dB."""

    @cache
    def listen(speaker, gain_db=0.0):
        heard = []
        enhancer = Enhancer(model)
        enhancer.observe(heard.append)
        enhancer.process(voice(speaker, 60.0) * np.float32(10 ** (gain_db / 20)))
        return heard

    return listen


def turns(*streams, seconds=6.0):
    """A minute of speakers in turn, hop by hop."""
    size = round(seconds / HOP_SECONDS)
    starts = range(0, len(streams[0]) // len(streams), size)
    return [hop for start in starts for stream in streams for hop in stream[start : start + size]]


@pytest.fixture(scope="module")
def gather(model):
    """``gather(hops, known, rule)`` -> an ``AutoEnrollment`` that has heard them."""

    def hear(hops, known=None, rule=None):
        gatherer = AutoEnrollment(HOP_SECONDS, model.contract.voice_space, known, rule)
        for hop in hops:
            gatherer.add(hop)
        return gatherer

    return hear


def test_one_voice_makes_the_profile_of_an_enrollment(model, gather, hops, recording):
    gathered = gather(hops("ls367")).gathered()
    assert gathered.ready
    kept = gathered.recording("desk")
    explicit = enroll(recording("ls367_enrollment"), 16_000, model=model)
    other = enroll(recording("ls2033_enrollment"), 16_000, model=model)
    own = cosine(kept.embedding, explicit.embedding)
    assert own > 0.9
    assert model.contract.voice_space.cosine(kept.embedding, other.embedding) < NO_MATCH_COSINE
    assert kept.microphone == "desk" and kept.snr_db > 20
    assert 0.5 * gathered.seconds < kept.speech_seconds <= gathered.seconds


def test_too_little_is_not_enough(gather, hops):
    assert not gather(hops("ls367")[:1400]).gathered().ready


def test_a_second_voice_as_loud_and_as_much_holds_it_back(gather, hops):
    both = turns(hops("ls367"), hops("ls2033"))
    cautious, careless = (gather(both, rule=Rule(rivals_share=share)).gathered() for share in (0.25, 1.0))
    assert cautious.rivals_share > 0.25 and not cautious.ready
    assert careless.ready


def test_a_voice_from_farther_away_is_left_out(gather, hops):
    near, far = hops("ls367"), hops("ls2033", -12.0)
    alone = gather(near).gathered().recording()
    gathered = gather(turns(near, far) + near).gathered()
    assert gathered.ready
    assert cosine(gathered.recording().embedding, alone.embedding) > 0.9


@pytest.mark.parametrize("share", [1, 2])
def test_a_voice_from_farther_away_does_not_count_however_much_it_talks(model, gather, hops, share):
    """As a television behind the user: neither the voice that leads nor a rival."""
    near, far = hops("ls367"), hops("ls2033", -12.0)
    alone = gather(near).gathered().recording()
    gathered = gather(turns(near, *[far] * share, seconds=8.0)).gathered()
    assert gathered.ready and gathered.rivals_share < 0.1
    assert model.contract.voice_space.cosine(gathered.recording().embedding, alone.embedding) > 0.95


def test_stretches_of_two_voices_do_not_count(model, gather, hops):
    """Where turns are as short as a stretch, they would make one voice of both, a mixture."""
    one, other = hops("ls367"), hops("ls2033")
    mixed = turns(one, other, seconds=3.0)
    gathered = gather(mixed).gathered()
    assert not gathered.ready
    voices = [gather(voice).gathered().recording().embedding for voice in (one, other)]
    compared = [model.contract.voice_space.cosine(gathered.recording().embedding, v) for v in voices]
    assert compared[0] > 0.93 and compared[1] < 0.1
    assert gather(mixed, rule=Rule(halves_alike=-1.0)).gathered().ready


def test_noise_is_no_voice(model, recording):
    enhancer, gatherer = Enhancer(model), AutoEnrollment(HOP_SECONDS, model.contract.voice_space)
    enhancer.observe(gatherer.add)
    enhancer.process(np.tile(0.2 * recording("helicopter"), 6))
    assert not gatherer.stretches and gatherer.gathered().seconds == 0


def test_a_known_voice_is_found_and_no_other_taken_for_it(model, gather, hops, recording):
    known = enroll(recording("ls367_enrollment"), 16_000, model=model).embedding
    own = gather(hops("ls367"), known).gathered().seconds
    other = gather(hops("ls2033"))
    assert own > 20 and sum(stretch.seconds for stretch in other.stretches) > 20
    assert gather(hops("ls2033"), known).gathered().seconds < 0.2 * own


def _wait_for_enrollment():
    for thread in threading.enumerate():
        if thread.name == "edge-pse enrollment":
            thread.join()


def hear(enrollment, hops):
    """As the stream would."""
    for hop in hops:
        enrollment.add(hop)


def test_without_a_terminal_the_voice_is_kept_at_once(model, home, voice):
    enhancer, said = Enhancer(model), []
    StreamEnrollment("me", enhancer, said.append, asks=False)
    enhancer.process(voice("ls367", 60.0))
    _wait_for_enrollment()
    profile = ProfileStore().load("me")
    assert enhancer.profiles[0].name == "me"
    np.testing.assert_array_equal(enhancer.profiles[0].embedding, profile.embedding)
    assert len(said) == 1 and said[0].startswith("Enrolled me from ")


def test_on_a_terminal_nothing_is_kept_without_the_key(model, home, hops):
    enhancer, said = Enhancer(model), []
    enrollment = StreamEnrollment("me", enhancer, said.append, asks=True)
    hear(enrollment, hops("ls367")[:1000])
    enrollment.keep()
    assert "15 s are needed" in said.pop()
    hear(enrollment, hops("ls367"))
    assert said.pop().endswith("press e to keep it as me.") and not said
    assert ProfileStore().list() == [] and enhancer.profiles == ()
    enrollment.keep()
    assert ProfileStore().list() == ["me"] and enhancer.profiles[0].name == "me"
    assert not enrollment._gatherer.stretches
    enrollment.keep()
    assert len(ProfileStore().load("me").recordings) == 1


def test_the_profile_in_use_is_added_to(model, home, hops, recording):
    before = enroll(recording("ls367_enrollment"), 16_000, model=model, name="me")
    ProfileStore().save(before)
    enhancer, said = Enhancer(model, before), []
    enrollment = StreamEnrollment("me", enhancer, said.append, asks=True)
    hear(enrollment, hops("ls2033"))
    enrollment.keep()
    assert "are needed" in said.pop() and len(ProfileStore().load("me").recordings) == 1
    enhancer, said = Enhancer(model, before), []
    enrollment = StreamEnrollment("me", enhancer, said.append, asks=False)
    hear(enrollment, hops("ls367") * 2)
    _wait_for_enrollment()
    after = ProfileStore().load("me")
    assert said[0].startswith("Added to me") and len(after.recordings) == 2
    np.testing.assert_array_equal(after.recordings[0].embedding, before.embedding)
    assert cosine(after.recordings[1].embedding, before.embedding) > 0.85
    np.testing.assert_array_equal(enhancer.profiles[0].embedding, after.embedding)


def test_a_voice_that_joins_is_kept_beside_the_one_in_use(model, home, hops, male_profile):
    enhancer, said = Enhancer(model, male_profile), []
    enrollment = StreamEnrollment("me", enhancer, said.append, asks=True)
    hear(enrollment, hops("ls367"))
    enrollment.keep()
    assert [profile.name for profile in enhancer.profiles] == ["me", male_profile.name]
    assert said[-1].endswith(f"this voice and that of {male_profile.name} are kept now.")


def test_nothing_is_added_to_a_profile_whose_personal_weights_fit(model, home, hops, recording):
    before = enroll(recording("ls367_enrollment"), 16_000, model=model, name="me")
    ProfileStore().save(before)
    enhancer, said = Enhancer(model, before), []
    enrollment = StreamEnrollment("me", enhancer, said.append, asks=True)
    ProfileStore().save(with_personal(before, model, weights_of(model)))  # learnt meanwhile
    hear(enrollment, hops("ls367") * 2)
    enrollment.keep()
    assert "Nothing was added to me" in said[-1]
    assert ProfileStore().load("me").personal.fits(before)


def test_nothing_is_added_to_another_voice_that_took_the_name_meanwhile(model, home, hops, recording):
    store = ProfileStore()
    mine, other = (
        enroll(recording(f"{speaker}_enrollment"), 16_000, model=model, name="me")
        for speaker in ("ls367", "ls2033")
    )
    store.save(mine)
    enhancer, said = Enhancer(model, mine), []
    enrollment = StreamEnrollment("me", enhancer, said.append, asks=True)
    hear(enrollment, hops("ls367") * 2)
    store.save(other)  # enrolled again, with --replace
    enrollment.keep()
    assert "Nothing was added to me: it is another voice's by now" in said[-1]
    assert store.load("me").id == other.id and enhancer.profiles[0].id == mine.id
    # What is the same voice, with a recording more, is added to.
    more = recording("ls367_speech")
    store.save(mine.with_recording(enroll(more, 16_000, model=model).recordings[0], mine.model_id))
    enrollment.keep()
    assert said[-1].startswith("Added to me") and len(store.load("me").recordings) == 3


def test_a_name_that_is_taken_or_none_is_refused_before_anything_is_heard(model, home, female_profile):
    ProfileStore().save(female_profile)  # of ls367
    with pytest.raises(ProfileError, match="add --profile ls367"):
        StreamEnrollment("ls367", Enhancer(model), print, asks=False)
    with pytest.raises(ProfileError, match="no name"):
        StreamEnrollment("../me", Enhancer(model), print, asks=False)


def test_a_full_disk_leaves_the_stream_and_the_voice(model, hops, small_disk, fill, monkeypatch):
    monkeypatch.setenv("EDGE_PSE_HOME", str(small_disk))
    (small_disk / "profiles").mkdir()
    fill(small_disk)
    enhancer, said = Enhancer(model), []
    enrollment = StreamEnrollment("me", enhancer, said.append, asks=True)
    hear(enrollment, hops("ls367"))
    enrollment.keep()
    assert "Can't write profile 'me'" in said[-1]
    assert enhancer.profiles == ()
    shutil.rmtree(small_disk / "profiles")
    (small_disk / "filler").unlink()
    enrollment.keep()
    assert enhancer.profiles[0].name == "me"

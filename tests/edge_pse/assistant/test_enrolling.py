"""A profile from the commands of a satellite."""

import asyncio

import numpy as np
import pytest
import soxr

from edge_pse import Enhancer, EnrollmentError, ProfileStore, enroll
from edge_pse.assistant.enrolling import CommandEnrollment
from edge_pse.enrollment import verify
from tests.edge_pse.assistant.services import Scripted, answers, client, proxy, serving, speak
from tests.edge_pse.learnt import weights_of, with_personal

RATE = 16_000


def commands(samples, seconds=3):
    return [samples[start : start + seconds * RATE] for start in range(0, samples.size, seconds * RATE)][:-1]


@pytest.fixture
def enrolling(model, home):
    """``enrolling(seconds)`` -> an enrollment under the name ``me``, and the profiles that it has told of."""

    def begin(seconds=3.0):
        done = []
        return CommandEnrollment("me", model, ProfileStore(), seconds, done.append), done

    return begin


def test_commands_make_a_profile_and_say_how_it_goes(model, home, recording):
    """Over the wire: the service behind hears nothing of them, and the profile is kept from the next command on."""
    service, profiles = Scripted(), []
    enrollment = CommandEnrollment("me", model, ProfileStore(), 5.0, profiles.append)
    spoken = commands(recording("ls367_enrollment"))

    async def enrolled():
        said = []
        async with serving(service) as behind, proxy(behind, model, enrollment=enrollment) as port:
            for command in spoken:
                async with client(port) as home:
                    await speak(home, command)
                    said += [event.data["text"] for event in await answers(home)]
                if enrollment.done:
                    break
            heard = service.heard.size
            async with client(port) as home:
                await speak(home, spoken[0])
                return [*said, *(event.data["text"] for event in await answers(home))], heard

    said, heard_before = asyncio.run(enrolled())
    assert "of 5 seconds of me" in said[0]
    assert said[-2].startswith("Done: me is enrolled") and said[-1] == "words"
    assert heard_before == 0 and service.heard.size == spoken[0].size
    (profile,) = profiles
    assert ProfileStore().load("me").id == profile.id
    assert profile.recordings[0].microphone == "satellite"
    target, other = recording("ls367_speech"), recording("ls2033_speech")
    kept = [
        np.mean(Enhancer(model, profile).enhance(one, RATE) ** 2) / np.mean(one**2) for one in (target, other)
    ]
    assert kept[0] > 3 * kept[1]


def test_another_voice_and_no_voice_are_not_taken(enrolling, recording):
    enrollment, done = enrolling(12.0)
    first, second, third, *_ = commands(recording("ls1688_enrollment"))
    for command in (first, second):
        assert "of 12 seconds" in enrollment.add(command, RATE)
    assert "someone else" in enrollment.add(recording("ls367_speech")[: 3 * RATE], RATE)
    assert "was not taken" in enrollment.add(np.zeros(RATE, np.float32), RATE)
    assert "Too loud" in enrollment.add(np.clip(60 * third[: 2 * RATE], -1, 1), RATE)
    assert "not taken" not in enrollment.add(third, RATE)
    assert enrollment.done == bool(done)


def test_a_profile_that_is_there_gets_the_recording_if_it_is_the_same_voice(enrolling, model, recording):
    ProfileStore().create(enroll(recording("ls367_speech"), RATE, model=model, name="me"))
    other, _ = enrolling()
    said = [other.add(command, RATE) for command in commands(recording("ls2033_enrollment"))[:2]]
    assert any("does not sound like me" in sentence for sentence in said) and not other.done
    same, _ = enrolling()
    for command in commands(recording("ls367_enrollment"))[:2]:
        same.add(command, RATE)
    assert same.done and len(ProfileStore().load("me").recordings) == 2


@pytest.mark.parametrize("rates_hz", [(48_000, 22_050, 8_000, 48_000), (22_050, 8_000, 11_025, 22_050)])
def test_commands_of_any_rate_make_one_profile(enrolling, model, recording, rates_hz):
    """The first one decides at which rate the voice is enrolled."""
    enrollment, profiles = enrolling(6.0)
    spoken = commands(recording("ls367_enrollment"))
    for rate_hz, command in zip(rates_hz, spoken, strict=False):
        assert "not taken" not in enrollment.add(soxr.resample(command, RATE, rate_hz), rate_hz)
    (profile,) = profiles
    at_16_khz = enroll(recording("ls367_enrollment"), RATE, model=model)
    answer = verify(at_16_khz, profile.recordings[0], model.contract.voice_space).answer
    assert answer == "match"


def test_what_a_network_has_learnt_is_not_spoilt(enrolling, model, recording):
    profile = enroll(recording("ls367_speech"), RATE, model=model, name="me")
    ProfileStore().create(with_personal(profile, model, weights_of(model)))
    with pytest.raises(EnrollmentError, match="another name"):
        enrolling()

"""Which recordings make a profile, which don't, and why: real speech and the shipped model."""

import numpy as np
import pytest
import soxr

from edge_pse import enroll
from edge_pse.enrollment import assess
from edge_pse.enrollment.verification import MATCH_COSINE, NO_MATCH_COSINE
from edge_pse.errors import AudioError, EnrollmentError
from edge_pse.voice_space import VoiceSpace

cosine = VoiceSpace().cosine  # of embeddings as they are
VOICES = ("ls3080", "ls1688", "ls367", "ls2033")


def distance(one, other):
    return float(np.linalg.norm(one.embedding - other.embedding))


@pytest.fixture
def speech(recording):
    return recording("ls3080_enrollment")[: 10 * 16_000]


@pytest.mark.parametrize("voice", VOICES)
def test_clean_speech_makes_a_profile(model, recording, voice):
    samples = recording(f"{voice}_enrollment")
    profile = enroll(samples, 16_000, model=model, name=voice)
    assert (profile.name, profile.model_id) == (voice, model.contract.profiles_of)
    assert profile.embedding.shape == (256,)
    assert 0.4 < profile.speech_seconds * 16_000 / samples.size < 0.9
    assert profile.snr_db > 20


def test_a_voice_is_nearer_to_itself_than_to_another(model, recording, female_profile, male_profile):
    female = enroll(recording("ls367_speech"), 16_000, model=model)
    male = enroll(recording("ls2033_speech"), 16_000, model=model)
    assert distance(female, female_profile) < distance(female, male_profile)
    assert distance(male, male_profile) < distance(male, female_profile)


def test_the_profile_is_the_mean_embedding_of_all_frames_without_a_profile(model, recording):
    samples = recording("ls2033_speech")[:64_100]
    padded = np.concatenate(
        [np.zeros(160), samples, np.zeros(60 + 160)]
    )  # whole hops, silence before and after
    window = np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(320) / 320))
    states = [np.zeros(state.shape, np.float32) for state in model.contract.states]
    embeddings = []
    for start in range(0, padded.size - 160, 160):
        bins = np.fft.rfft(window * padded[start : start + 320])[1:]
        spectrum = np.stack([bins.real, bins.imag]).astype(np.float32)[None, :, None]
        _, embedding, states = model.backend.step(spectrum, np.zeros((1, 256), np.float32), states)
        embeddings.append(embedding[0])
    assert len(embeddings) == 402
    profile = enroll(samples, 16_000, model=model)
    np.testing.assert_allclose(profile.embedding, np.mean(embeddings, axis=0), atol=1e-3)


def test_waiting_before_and_after_the_voice_changes_nothing(model, speech):
    profile = enroll(speech, 16_000, model=model)
    room = 0.0003 * np.random.default_rng(0).standard_normal(5 * 16_000).astype(np.float32)
    waited = enroll(np.concatenate([room, speech, room]), 16_000, model=model)
    assert cosine(waited.embedding, profile.embedding) > 0.97  # with the waiting averaged in, 0.9
    assert waited.speech_seconds == pytest.approx(profile.speech_seconds, abs=0.3)


def test_channels_are_chosen_and_any_sample_rate_is_taken(model, speech):
    profile = enroll(speech, 16_000, model=model)
    opposite = np.stack([speech, -speech], axis=1)
    assert distance(profile, enroll(opposite, 16_000, model=model)) == 0
    stereo = np.stack([1.2 * speech, 0.8 * speech], axis=1)
    assert distance(profile, enroll(stereo, 16_000, model=model)) < 1e-2
    resampled = soxr.resample(stereo, 16_000, 44_100)
    from_cd_rate = enroll(resampled, 44_100, model=model)
    assert from_cd_rate.speech_seconds == pytest.approx(profile.speech_seconds, abs=0.5)
    at_the_wrong_rate = enroll(resampled, 16_000, model=model)
    # A change of rate takes the uppermost bins away, which moves the embedding a little; a wrong rate is another voice.
    compared = model.contract.voice_space.cosine
    assert compared(profile.embedding, from_cd_rate.embedding) > MATCH_COSINE
    assert compared(profile.embedding, at_the_wrong_rate.embedding) < NO_MATCH_COSINE


@pytest.mark.parametrize("rate", [44_100, 48_000, 22_050])
def test_a_recording_at_its_own_rate_makes_the_profile_that_16_khz_make(model, full_band, rate):
    """Real sound up to 24 kHz, as microphones give it."""
    recording = soxr.resample(full_band("msc4g8_enrollment"), 48_000, rate)
    at_model = soxr.resample(recording, rate, 16_000)
    (found,) = enroll(recording, rate, model=model).recordings
    (expected,) = enroll(at_model, 16_000, model=model).recordings
    space = model.contract.voice_space
    assert space.cosine(found.embedding, expected.embedding) > 0.995
    assert space.cosine(found.half_band, expected.half_band) > 0.999
    assert found.speech_seconds == pytest.approx(expected.speech_seconds, abs=0.1)
    reports = [assess(*given, model=model) for given in ((recording, rate), (at_model, 16_000))]
    for field in ("seconds", "speech_level_dbfs", "snr_db"):
        assert getattr(reports[0], field) == pytest.approx(getattr(reports[1], field), abs=0.3)


def test_clipping_is_seen_at_the_rate_of_the_recording(model, full_band):
    samples = full_band("msc4g8_enrollment")
    clipped = np.clip(samples * 10 / np.abs(samples).max(), -1, 1)
    assert assess(clipped, 48_000, model=model).clipped_share > 0.01 > assess(samples, 48_000).clipped_share


def test_a_report_measures_what_is_known(model, speech, mix, recording):
    report = assess(speech, 16_000, model=model)
    assert report.problems == ()
    assert report.seconds == pytest.approx(10)
    halved = assess(speech / 2, 16_000, model=model)
    assert report.speech_level_dbfs - halved.speech_level_dbfs == pytest.approx(6.02, abs=0.2)
    with_pause = assess(np.concatenate([speech, 0.001 * speech[:80_000]]), 16_000, model=model)
    assert with_pause.seconds == pytest.approx(15)
    assert with_pause.speech_seconds == pytest.approx(report.speech_seconds, abs=0.5)
    noisy = [
        assess(mix(speech, recording("helicopter"), snr), 16_000, model=model).snr_db for snr in (20, 10, 0)
    ]
    assert noisy[0] > noisy[1] + 3 > noisy[2] + 6
    assert noisy[0] == pytest.approx(20, abs=4)


@pytest.mark.parametrize("voice", VOICES)
def test_noise_at_15_db_passes_and_at_0_db_does_not(model, recording, mix, voice):
    speech, noise = recording(f"{voice}_enrollment"), recording("helicopter")
    assert assess(mix(speech, noise, 15), 16_000, model=model).problems == ()
    with pytest.raises(EnrollmentError, match=r"too much noise.*quieter place"):
        enroll(mix(speech, noise, 0), 16_000, model=model)


def test_noise_alone_is_hardly_any_speech(model, recording):
    with pytest.raises(EnrollmentError, match="Hardly any speech"):
        enroll(recording("helicopter"), 16_000, model=model)


def test_a_recording_that_is_too_short(model, speech):
    with pytest.raises(EnrollmentError, match=r"only 2\.9 s long: record at least 3 s"):
        enroll(speech[:47_900], 16_000, model=model)
    assert enroll(speech[: 3 * 16_000], 16_000, model=model).speech_seconds > 1.5


@pytest.mark.parametrize("samples", [0, 1, 159, 161])
def test_next_to_nothing_is_too_short(model, speech, samples):
    report = assess(speech[:samples], 16_000, model=model)
    assert report.seconds == samples / 16_000
    assert len(report.problems) == 1
    assert "long: record at least" in report.problems[0]


def test_silence_and_a_word_in_silence_are_hardly_any_speech(model, speech):
    silence = np.zeros(8 * 16_000, np.float32)
    report = assess(silence, 16_000, model=model)
    assert (report.speech_seconds, report.speech_level_dbfs, report.snr_db) == (0, -np.inf, -np.inf)
    assert len(report.problems) == 1
    silence[:16_000] = speech[16_000:32_000]
    for samples in (silence, np.zeros_like(silence)):
        with pytest.raises(EnrollmentError, match="Hardly any speech"):
            enroll(samples, 16_000, model=model)


def test_gusts_in_a_quiet_room_are_not_speech(model, speech):
    """Loudness alone would take them for speech: it takes the network to tell."""
    gate = np.full(speech.size, 0.003)
    for start in range(8_000, 160_000, 38_000):
        gate[start : start + 16_000] = 1
    gusts = 0.05 * gate * np.random.default_rng(0).standard_normal(speech.size)
    with pytest.raises(EnrollmentError, match="Hardly any speech"):
        enroll(gusts, 16_000, model=model)
    assert assess(gate * speech, 16_000, model=model).problems == ()


def test_digital_silence_at_the_start_does_not_hide_noise(model, speech, recording, mix):
    noisy = np.concatenate([np.zeros(2 * 16_000, np.float32), mix(speech, recording("helicopter"), 0)])
    assert any("too much noise" in problem for problem in assess(noisy, 16_000, model=model).problems)


def test_a_voice_that_is_too_quiet(model, speech):
    quiet = np.round(speech * 10 ** (-36 / 20) * 32_768).astype(np.float32) / 32_768
    with pytest.raises(EnrollmentError, match=r"too quiet, -5\d dBFS: go closer"):
        enroll(quiet, 16_000, model=model)
    assert assess(speech * np.float32(10 ** (-20 / 20)), 16_000, model=model).problems == ()


@pytest.mark.parametrize("level", [1.0, 0.2])
def test_a_clipped_recording(model, speech, level):
    peak = np.abs(speech).max()
    clipped = np.clip(speech * 10 / peak, -1, 1) * np.float32(level)
    with pytest.raises(
        EnrollmentError, match=r"clipped for \d+% of the time: turn the microphone's gain down"
    ):
        enroll(clipped, 16_000, model=model)
    one_channel = np.stack([speech, clipped], axis=1)
    assert assess(one_channel, 16_000, model=model).clipped_share > 0.01
    assert assess(np.clip(speech * 1.4 / peak, -1, 1), 16_000, model=model).problems == ()


def test_all_that_is_wrong_is_said_at_once(model, speech, recording, mix):
    bad = mix(speech, recording("helicopter"), 6)[: 2 * 16_000]
    bad *= np.float32(6) / np.abs(bad).max()
    with pytest.raises(EnrollmentError) as refusal:
        enroll(np.clip(bad, -1, 1), 16_000, model=model)
    for part in ("would not make a good profile", "2.0 s long", "clipped", "too much noise"):
        assert part in str(refusal.value)


@pytest.mark.parametrize(
    ("audio", "rate", "message"),
    [
        (np.full(64_000, np.nan), 16_000, "NaN"),
        (np.zeros(64_000, np.int16), 16_000, "32768 for 16 bits"),
        (np.zeros((2, 64_000)), 16_000, "samples, channels"),
        (np.zeros((64_000, 1, 1)), 16_000, "samples, channels"),
        (np.zeros(64_000), 0, "sample rate"),
    ],
)
def test_audio_that_can_not_be_used(model, audio, rate, message):
    with pytest.raises(AudioError, match=message):
        enroll(audio, rate, model=model)

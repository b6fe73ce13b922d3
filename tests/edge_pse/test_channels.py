"""Which channels become one: real voices beside what cards, cables and mixers put into the other channels."""

import numpy as np
import pytest
import soundfile
import soxr

from edge_pse.audio.files import enhance_file
from edge_pse.channels import ChannelChoice, choose, choose_in, named
from edge_pse.errors import AudioError

RATE = 16_000


@pytest.fixture(scope="module")
def speech(recording):
    return recording("ls367_speech")


def opposed_above(samples, frequency_hz):
    spectrum = np.fft.rfft(samples)
    spectrum[round(frequency_hz * samples.size / RATE) :] *= -1
    return np.fft.irfft(spectrum, samples.size).astype(np.float32)


@pytest.fixture(scope="module")
def sounds(speech, recording):
    """What may be in another channel, by name; each as long as the speech."""
    random = np.random.default_rng(24)
    seconds = np.arange(speech.size) / RATE
    silence = np.zeros_like(speech)
    clicks = silence.copy()
    clicks[:: RATE // 4] = 0.9
    hum = sum(0.3 / n**2 * np.sin(2 * np.pi * 50 * n * seconds) for n in (1, 2, 3, 7, 11))
    return {
        "speech": speech,
        "faint speech": 0.01 * speech,
        "silence": silence,
        "offset": silence + np.float32(0.5),
        "speech on an offset": speech / 2 + np.float32(0.4),
        "hum": hum.astype(np.float32),
        "speech in hum": speech + hum.astype(np.float32),
        "hiss": 0.1 * random.standard_normal(speech.size).astype(np.float32),
        "clicks": clicks,
        "helicopter": np.resize(recording("helicopter"), speech.size),
        "other voice": np.resize(recording("ls2033_speech"), speech.size),
        "negative": -speech,
        "quieter by 7 dB": 10 ** (-7 / 20) * speech,
        "a bit quieter": 0.7 * speech,
        "late by 1 ms": np.concatenate([silence[:16], speech[:-16]]),
        "negative above 3 kHz": opposed_above(speech, 3_000),
        "late by 0.2 ms": np.concatenate([silence[:3], speech[:-3]]),
        "little speech in hiss": 0.3 * speech
        + np.std(speech) * random.standard_normal(speech.size).astype(np.float32),
        "wind": (np.sin(2 * np.pi * 60 * seconds) * (0.5 + 0.5 * np.sin(2 * np.pi * 3 * seconds))).astype(
            np.float32
        ),
        "in a little hiss": speech + 0.003 * random.standard_normal(speech.size).astype(np.float32),
    }


@pytest.fixture
def stacked(sounds):
    """``stacked("hum", "speech")`` -> (samples, 2)."""
    return lambda *names: np.stack([sounds[name] for name in names], axis=1)


CASES = [
    (("speech",), (0,)),
    (("speech", "speech"), (0, 1)),
    (("speech", "a bit quieter"), (0, 1)),
    (("in a little hiss", "speech"), (0, 1)),
    (("speech", "negative"), (0,)),
    (("speech", "silence"), (0,)),
    (("silence", "speech"), (1,)),
    (("speech", "quieter by 7 dB"), (0,)),
    (("late by 1 ms", "speech", "silence"), 1),
    (("hum", "speech"), (1,)),
    (("hum", "faint speech"), (1,)),
    (("speech in hum", "speech"), (1,)),
    (("offset", "faint speech"), (1,)),
    (("speech", "speech on an offset", "silence"), (0,)),
    (("hiss", "faint speech"), (1,)),
    (("clicks", "faint speech"), (1,)),
    (("helicopter", "speech"), (1,)),
    (("silence", "offset", "hum", "silence", "speech", "silence"), (4,)),
    (("speech", "negative", "speech"), (0, 2)),
    (("speech", "late by 0.2 ms"), 1),
    (("speech", "negative above 3 kHz"), 1),
    (("speech", "little speech in hiss"), (0,)),
    (("wind", "faint speech"), (1,)),
    (("silence", "silence"), (0,)),
]


@pytest.mark.parametrize(("names", "expected"), CASES)
def test_a_mix_of_those_that_agree_or_the_one_with_most_speech(stacked, names, expected):
    chosen = choose(stacked(*names), RATE)
    if expected == 1:  # either
        assert len(chosen.channels) == 1
    else:
        assert chosen.channels == expected
    assert chosen.total == len(names)


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
@pytest.mark.parametrize(("names", "expected"), CASES[4:11:3])
def test_at_any_rate(stacked, rate, names, expected):
    assert choose(soxr.resample(stacked(*names), RATE, rate), rate).channels == expected


@pytest.mark.parametrize("samples", [1, 100, 700])
def test_a_recording_shorter_than_a_syllable_has_a_channel_too(samples):
    assert len(choose(np.full((samples, 2), 0.1, np.float32), RATE).channels) in (1, 2)


def test_blocks_of_any_size_choose_what_the_whole_chooses(stacked):
    whole = stacked("speech in hum", "in a little hiss", "speech", "negative")
    blocks = np.split(whole, [3, 600, 601, 5_000, 70_000])
    assert choose_in(blocks, 4, RATE) == choose(whole, RATE)


def test_one_channel_is_at_its_own_level(stacked, speech):
    many, two = stacked(*["silence"] * 5, "speech"), stacked("speech", "negative")
    np.testing.assert_array_equal(choose(many, RATE).of(many), speech)
    np.testing.assert_array_equal(choose(speech[:, None], RATE).of(speech[:, None]), speech)
    np.testing.assert_array_equal(named(2, 2).of(two), -speech)


@pytest.mark.parametrize("channel", [0, 3])
def test_a_channel_that_is_not_there_is_refused(channel):
    with pytest.raises(AudioError, match=f"no channel {channel}: there are 2 channels"):
        named(channel, 2)


def test_of_loudspeakers_all_that_sound_add_up(stacked):
    """The room hears a voice on the left and another on the right; silence doesn't make them quieter."""

    def played(*names):
        return choose_in([stacked(*names)], len(names), RATE, far_end=True).channels

    assert played("speech", "other voice", "silence") == (0, 1)
    assert played("speech", "negative") == (0,)


@pytest.mark.parametrize(
    ("names", "expected"), [(("hum", "speech"), 1), (("faint speech", "speech", "negative"), 1)]
)
def test_live_the_first_second_decides(stacked, names, expected):
    block = np.clip(stacked(*names), -1, 1)[RATE // 2 :]
    choice = ChannelChoice(None, RATE)
    for start in range(0, 2 * RATE, 160):
        picked = choice.pick(block[start : start + 160])
    assert choice.channel == expected
    np.testing.assert_array_equal(picked, block[start : start + 160, expected])
    choice.pick(np.roll(block, 1, axis=1))
    assert choice.channel == expected, "it stays with what it chose"


def test_live_a_channel_that_is_named_is_taken(stacked):
    assert not ChannelChoice(1, RATE).pick(stacked("speech", "silence")).any()


def level_db(samples):
    return 10 * np.log10(np.mean(np.square(samples)) + 1e-12)


@pytest.mark.parametrize(
    "names", [("speech", "negative"), ("silence", "silence", "silence", "speech"), ("hum", "speech")]
)
def test_a_file_keeps_the_level_of_its_voice(tmp_path, run, stacked, speech, model, names):
    samples = stacked(*names)
    soundfile.write(tmp_path / "in.wav", samples, RATE)
    result = run("enhance", tmp_path / "in.wav", "-o", tmp_path / "out.wav")
    enhanced, _ = soundfile.read(tmp_path / "out.wav")
    soundfile.write(tmp_path / "mono.wav", speech, RATE)
    enhance_file(tmp_path / "mono.wav", tmp_path / "expected.wav", model)
    expected, _ = soundfile.read(tmp_path / "expected.wav")
    assert abs(level_db(enhanced) - level_db(expected)) < 0.1
    place = names.index("speech") + 1
    assert result.stderr.startswith(f"Took channel {place} of {len(names)}, where most speech is")


def test_the_channel_named_is_enhanced(tmp_path, run, refused, stacked, speech):
    soundfile.write(tmp_path / "in.wav", stacked("speech", "other voice"), RATE, "FLOAT")
    arguments = ("enhance", tmp_path / "in.wav", "-o", tmp_path / "out.wav", "--strength", "0", "--channel")
    result = run(*arguments, "1")
    assert (result.exit_code, result.stderr) == (0, "")
    np.testing.assert_array_equal(soundfile.read(tmp_path / "out.wav", dtype="float32")[0], speech)
    assert "in.wav can't be used. There is no channel 3" in refused(*arguments, "3")
    assert "only one of" in refused(*arguments, "1", "--keep-channels", status=2)

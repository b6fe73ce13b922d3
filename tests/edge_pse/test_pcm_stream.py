"""Bytes through ``PcmStream``: nothing is lost, moved or kept back, whatever the rate, the format and the pieces."""

import numpy as np
import pytest
import soxr

from edge_pse import Enhancer, PcmStream
from edge_pse.audio.pcm import SampleFormat
from edge_pse.errors import AudioError, ModelError
from edge_pse.model import Model

RATES_HZ = (8_000, 11_025, 16_000, 44_100, 44_101, 48_000, 192_000)
SECONDS = 2


@pytest.fixture(scope="module")
def noisy(recording, mix):
    return mix(recording("ls367_speech")[16_000 : 16_000 * (1 + SECONDS)], recording("helicopter"), 10)


@pytest.fixture(scope="module")
def enhanced(noisy, model, female_profile):
    return Enhancer(model, female_profile).enhance(noisy, 16_000)


def at(rate, samples):
    return soxr.resample(samples, 16_000, rate)


def pieces(content, largest, seed=0):
    """The content in parts of any number of bytes, none of them too."""
    sizes, at_byte = np.random.default_rng(seed).integers(0, largest, len(content)), 0
    for size in sizes:
        yield content[at_byte : at_byte + size]
        at_byte += size
        if at_byte >= len(content):
            return


def through(stream, content, largest=1_000):
    return b"".join([*map(stream.process, pieces(content, largest)), stream.flush()])


def unlike_db(samples, expected):
    """Of what is between them, without the edges, where filters see what is beyond."""
    inner = slice(expected.size // 50, -expected.size // 50)
    return 10 * np.log10(np.mean((samples - expected)[inner] ** 2) / np.mean(expected[inner] ** 2))


@pytest.mark.parametrize("rate", RATES_HZ)
def test_the_output_is_the_enhanced_input_at_its_rate_place_and_length(rate, model, female_profile, noisy):
    stream = PcmStream(Enhancer(model, female_profile), rate, "f32le")
    out = np.frombuffer(through(stream, at(rate, noisy).astype("<f4").tobytes(), 4 * rate // 50), "<f4")
    assert out.size == at(rate, noisy).size
    expected = Enhancer(model, female_profile).enhance(at(rate, noisy), rate)
    if rate == 16_000:
        np.testing.assert_allclose(out, expected, atol=1e-6)
    else:  # the filters differ at the edge of the band
        assert unlike_db(out, expected) < -20


@pytest.mark.parametrize("rate", RATES_HZ)
@pytest.mark.parametrize("piece_ms", [0.5, 10, 130])
def test_nothing_is_kept_back_beyond_the_latency_that_is_said(rate, piece_ms, model, noisy):
    """What went in and has not come out never lasts longer: bytes in against bytes out, after each piece."""
    stream = PcmStream(Enhancer(model), rate, "s16le")
    assert stream.latency_ms <= (20 if rate == 16_000 else 24.1 if rate > 16_000 else 28)
    content = SampleFormat.named("s16le").encode(at(rate, noisy)[: rate // 2])
    size = 2 * round(rate * piece_ms / 1_000)
    bytes_in = bytes_out = 0
    for start in range(0, len(content), size):
        bytes_in += len(content[start : start + size])
        bytes_out += len(stream.process(content[start : start + size]))
        waiting_ms = (bytes_in - bytes_out) / 2 / rate * 1_000
        # A sample more, since there are no parts of samples.
        assert waiting_ms <= stream.latency_ms + 1_000 / rate + 1_000 / 16_000


def test_blocks_of_whole_hops_bring_whole_hops_also_at_another_rate(model, noisy):
    stream = PcmStream(Enhancer(model), 48_000, "s16le")
    content = SampleFormat.named("s16le").encode(at(48_000, noisy))
    counts = [len(stream.process(content[start : start + 960])) for start in range(0, 96_000, 960)]
    assert set(counts[3:]) == {960}
    # Not a hop later than the network and the filters want it: 10 ms, and 2 ms for each filter.
    assert 2 * 480 * len(counts) - sum(counts) == 2 * 48 * 14


def test_the_size_of_the_pieces_changes_nothing_not_even_within_a_sample(model, noisy):
    content = SampleFormat.named("s24le").encode(at(44_100, noisy))
    stream = PcmStream(Enhancer(model), 44_100, "s24le")
    whole = stream.process(content) + stream.flush()
    assert through(stream, content, 7_000) == whole
    small = content[:3_000]
    assert through(stream, small, 3) == stream.process(small) + stream.flush()


def test_of_a_last_frame_that_is_incomplete_nothing_comes_out(model, noisy):
    stream = PcmStream(Enhancer(model), 16_000, "s16le", 2)
    stream.process(bytes(4 * 100 + 3))
    assert stream.incomplete_bytes == 3 and stream.frame_bytes == 4
    assert len(stream.flush()) == 2 * 100
    assert stream.incomplete_bytes == 0


@pytest.mark.parametrize("count", [0, 1, 159, 161])
def test_a_short_stream_is_as_long_and_the_next_one_begins_anew(count, model, noisy):
    content = SampleFormat.named("s16le").encode(noisy)
    stream = PcmStream(Enhancer(model), 16_000)
    first = stream.process(content) + stream.flush()
    assert len(stream.process(content[: 2 * count]) + stream.flush()) == 2 * count
    assert stream.process(content) + stream.flush() == first


def test_another_rate_and_format_may_come_out(model, noisy, enhanced, female_profile):
    stream = PcmStream(
        Enhancer(model, female_profile), 48_000, "S24_3LE", output_rate_hz=16_000, output_format="f32le"
    )
    out = np.frombuffer(through(stream, SampleFormat.named("s24le").encode(at(48_000, noisy))), "<f4")
    assert out.size == noisy.size
    assert unlike_db(out, enhanced) < -20


def test_of_several_channels_the_one_with_speech_is_taken_or_the_one_named(model, noisy):
    mono = SampleFormat.named("f32le").encode(noisy)
    faint = np.float32(0.001) * noisy[::-1]
    both = np.stack([faint, noisy], axis=1).astype("<f4").tobytes()
    expected = np.frombuffer(through(PcmStream(Enhancer(model), 16_000, "f32le"), mono), "<f4")
    named = np.frombuffer(through(PcmStream(Enhancer(model), 16_000, "f32le", 2, channel=2), both), "<f4")
    np.testing.assert_allclose(named, expected, atol=1e-6)
    chosen = np.frombuffer(through(PcmStream(Enhancer(model), 16_000, "f32le", 2), both), "<f4")
    # The network heard the other one before, in its first moment.
    assert unlike_db(chosen[16_000:], expected[16_000:]) < -20


def test_one_of_the_channels_may_be_the_far_end(recording):
    model = Model.load(far_end=True)
    far = recording("ls2033_speech")[:48_000]
    echo = np.float32(0.3) * np.concatenate([np.zeros(800, np.float32), far])[: far.size]
    frames = np.stack([far, echo], axis=1).astype("<f4").tobytes()
    stream = PcmStream(Enhancer(model), 16_000, "f32le", 2, far_end_channel=1)
    out = np.frombuffer(through(stream, frames), "<f4")
    np.testing.assert_allclose(out, Enhancer(model).enhance(echo, 16_000, far), atol=1e-6)
    assert np.mean(out[16_000:] ** 2) < 0.1 * np.mean(echo[16_000:] ** 2)


def test_what_is_no_sound_is_refused_and_the_stream_goes_on(model, noisy):
    stream = PcmStream(Enhancer(model), 16_000, "f32le")
    content = SampleFormat.named("f32le").encode(noisy)
    before = stream.process(content[:50_000])
    with pytest.raises(AudioError, match="NaN"):
        stream.process(b"\x00\x00\xc0\x7f" * 3)
    after = stream.process(content[50_000:]) + stream.flush()
    assert before + after == stream.process(content) + stream.flush()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sample_rate_hz": 3_999}, "4000 to 384000 whole samples a second, not 3999"),
        ({"sample_rate_hz": 16_000.5}, "whole samples"),
        ({"output_rate_hz": 1_000_000}, "not 1000000"),
        ({"sample_format": "wav"}, "no format 'wav'"),
        ({"output_format": "mp3"}, "no format 'mp3'"),
        ({"channels": 0}, "1 to 64 channels, not 0"),
        ({"channels": 2, "channel": 3}, "no channel 3"),
        ({"channels": 1, "channel": 0}, "no channel 0"),
        ({"channels": 1, "far_end_channel": 1}, "a channel of its own"),
        ({"channels": 2, "channel": 2, "far_end_channel": 2}, "a channel of its own"),
    ],
)
def test_what_can_not_be_is_refused(model, settings, message):
    with pytest.raises(AudioError, match=message):
        PcmStream(Enhancer(model), **{"sample_rate_hz": 16_000, **settings})


def test_a_far_end_needs_a_model_that_takes_one(model):
    with pytest.raises(ModelError, match="cancels no echo"):
        PcmStream(Enhancer(model), 16_000, "s16le", 2, far_end_channel=2)

"""Bytes through ``PcmStream``: nothing is lost, moved or kept back, whatever the rate, the format and the pieces."""

import gc
import tracemalloc

import numpy as np
import pytest
import soxr

from edge_pse import Enhancer, PcmStream
from edge_pse.audio.pcm import SampleFormat
from edge_pse.errors import AudioError, ModelError
from edge_pse.model import Model

WHOLE_HOPS_HZ = (8_000, 16_000, 24_000, 44_100, 48_000, 192_000)
CHANGED_HZ = {11_025: 5.9, 22_050: 3, 44_101: 1.5}
"""Rates without whole hops, and what the changes to the next such rate and back may add to the latency, in ms."""
RATES_HZ = (*WHOLE_HOPS_HZ, *CHANGED_HZ)
SECONDS = 2


@pytest.fixture(scope="module")
def noisy(recording, mix):
    return mix(recording("ls367_speech")[16_000 : 16_000 * (1 + SECONDS)], recording("helicopter"), 10)


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
    if rate in WHOLE_HOPS_HZ:  # nothing lies between the stream and the network
        np.testing.assert_allclose(out, expected, atol=1e-6)
    else:  # the filters differ at the edge of the band
        assert unlike_db(out, expected) < -20


@pytest.mark.parametrize("rate", RATES_HZ)
@pytest.mark.parametrize("piece_ms", [0.5, 10, 130])
def test_nothing_is_kept_back_beyond_the_latency_that_is_said(rate, piece_ms, model, noisy):
    """What went in and has not come out never lasts longer: bytes in against bytes out, after each piece."""
    stream = PcmStream(Enhancer(model), rate, "s16le")
    assert stream.latency_ms <= 20 + CHANGED_HZ.get(rate, 0)
    content = SampleFormat.named("s16le").encode(at(rate, noisy)[: rate // 2])
    size = 2 * round(rate * piece_ms / 1_000)
    bytes_in = bytes_out = 0
    for start in range(0, len(content), size):
        bytes_in += len(content[start : start + size])
        bytes_out += len(stream.process(content[start : start + size]))
        waiting_ms = (bytes_in - bytes_out) / 2 / rate * 1_000
        # Samples more where the rate is changed, since there are no parts of samples.
        assert waiting_ms <= stream.latency_ms + (2_000 / rate if rate in CHANGED_HZ else 0)


@pytest.mark.parametrize("rate", WHOLE_HOPS_HZ)
def test_blocks_of_whole_hops_bring_whole_hops(rate, model, noisy):
    stream = PcmStream(Enhancer(model), rate, "s16le")
    content, hop_bytes = SampleFormat.named("s16le").encode(at(rate, noisy)[: rate // 2]), rate // 50
    counts = [
        len(stream.process(content[start : start + hop_bytes])) for start in range(0, len(content), hop_bytes)
    ]
    # A hop late, which is the one after it, and no later.
    assert counts == [0, *[hop_bytes] * 49]


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


@pytest.mark.parametrize(
    ("rate", "output_rate"),
    [(48_000, 16_000), (16_000, 48_000), (44_100, 48_000), (22_050, 8_000), (8_000, 11_025)],
)
def test_another_rate_and_format_may_come_out(rate, output_rate, model, noisy, female_profile):
    stream = PcmStream(
        Enhancer(model, female_profile), rate, "S24_3LE", output_rate_hz=output_rate, output_format="f32le"
    )
    content = SampleFormat.named("s24le").encode(at(rate, noisy)[: rate + 7])
    out = np.frombuffer(through(stream, content), "<f4")
    assert out.size == round((rate + 7) * output_rate / rate)
    expected = Enhancer(model, female_profile).enhance(at(rate, noisy)[: rate + 7], rate)
    expected = soxr.resample(expected, rate, output_rate)[: out.size]
    # Each has an edge of its own, which is below half of the lower rate.
    inside = round(0.4 * min(rate, output_rate) / output_rate * out.size)
    found, wanted = (np.fft.rfft(samples * np.hanning(out.size))[:inside] for samples in (out, expected))
    assert np.sum(np.abs(found - wanted) ** 2) < 1e-4 * np.sum(np.abs(wanted) ** 2)


def test_the_next_stream_of_an_enhancer_may_have_another_rate(model, noisy, female_profile):
    """As commands of different satellites have."""
    enhancer, content = Enhancer(model, female_profile), SampleFormat.named("s16le").encode(at(48_000, noisy))
    first = through(PcmStream(enhancer, 48_000), content)
    through(PcmStream(enhancer, 11_025, output_rate_hz=16_000), content[:9_999])
    assert through(PcmStream(enhancer, 48_000), content) == first


def test_what_is_above_the_networks_band_comes_out_if_the_enhancer_says_so(model):
    hiss = np.random.default_rng(0).normal(0, 0.05, 48_000).astype("<f4").tobytes()
    above = {}
    for full_band in (True, False):
        stream = PcmStream(Enhancer(model, full_band=full_band), 48_000, "f32le")
        out = np.frombuffer(through(stream, hiss), "<f4")
        above[full_band] = np.abs(np.fft.rfft(out * np.hanning(out.size)))[9_000:].mean()
    assert above[False] < 0.01 * above[True]


def test_memory_does_not_grow_with_the_stream(model):
    stream, hop = PcmStream(Enhancer(model), 22_050), bytes(2 * 221)
    tracemalloc.start()
    kept = []
    for _ in range(4):
        for _ in range(150):
            stream.process(hop)
        gc.collect()
        kept.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    # What another thread of this process begins to keep meanwhile comes once.
    assert min(kept[3] - kept[2], kept[2] - kept[1]) < 10_000


@pytest.mark.parametrize("rate", [16_000, 48_000, 22_050])
def test_one_of_the_channels_may_be_the_far_end(rate, recording):
    model = Model.load(far_end=True)
    far = recording("ls2033_speech")[:48_000]
    echo = np.float32(0.3) * np.concatenate([np.zeros(800, np.float32), far])[: far.size]
    far, echo = at(rate, far), at(rate, echo)
    frames = np.stack([far, echo], axis=1).astype("<f4").tobytes()
    stream = PcmStream(Enhancer(model), rate, "f32le", 2, far_end_channel=1)
    out = np.frombuffer(through(stream, frames, 5_000), "<f4")
    if rate in WHOLE_HOPS_HZ:
        np.testing.assert_allclose(out, Enhancer(model).enhance(echo, rate, far), atol=1e-6)
    assert np.mean(out[rate:] ** 2) < 0.1 * np.mean(echo[rate:] ** 2)


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
        ({"sample_rate_hz": float("nan")}, "whole samples"),
        ({"output_rate_hz": 1_000_000}, "not 1000000"),
        ({"output_rate_hz": 0}, "not 0"),
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

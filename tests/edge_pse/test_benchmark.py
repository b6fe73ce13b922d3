"""What is measured, and that it is measured."""

import time

import pytest

from edge_pse.benchmark import FrameTimes, measure
from edge_pse.errors import ModelError


def test_frame_times_are_those_of_the_frames_after_the_warm_up():
    warm_up, counted = [0.2, *[0] * 99], [0.002] * 98 + [0.03] * 2
    times = FrameTimes.of(time.sleep, iter(warm_up + counted))
    assert 2 <= times.p50_ms < 20
    assert 30 <= times.p99_ms <= times.max_ms < 200
    assert times.p50_ms < times.mean_ms < times.p99_ms


def test_a_model_is_measured_the_whole_way_and_alone(model):
    result = measure(model.path, seconds=1)
    assert (result.model, result.backend) == (model.path.name, model.backend.name)
    assert (result.frames, result.frame_ms, result.latency_ms) == (100, 10, 20)
    assert 0.02 < result.network.p50_ms <= result.network.p99_ms <= result.network.max_ms
    assert result.enhancer.p50_ms > 0.02
    assert result.real_time_share == pytest.approx(result.enhancer.mean_ms / 10)
    assert result.load_ms > 1
    # Python, numpy, the runtime and the model can't be in less; the tests are in there too.
    assert 40 < result.resident_mb < 4_000


def test_a_model_that_is_not_there():
    with pytest.raises(ModelError, match="There is no model"):
        measure("nothing")

"""Perceptual scores from their own packages: PESQ, STOI, DNSMOS P.835 (plain and personalised), AECMOS.

Arrays are 1-D float, 16 kHz. Models are loaded on first use and run on one thread, so that scoring in several
processes neither fights over cores nor depends on how many there are.
"""

from __future__ import annotations

import functools
import importlib
import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np

from evaluation.metrics.signal import SAMPLE_RATE_HZ

DNSMOS_SAMPLES = round(9.01 * SAMPLE_RATE_HZ)


class Unscorable(Exception):
    """The metric is not defined for this output, or its package is missing; the text says why."""


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise Unscorable(f"{name.split('.')[0]} cannot be imported ({error})") from error


def pesq_wb(reference: np.ndarray, estimate: np.ndarray) -> float:
    """PESQ-WB (ITU-T P.862.2), about 1.04..4.64. Raises Unscorable when no utterance is found."""
    pesq = _package("pesq")
    try:
        return float(pesq.pesq(SAMPLE_RATE_HZ, reference, estimate, "wb"))
    except (pesq.PesqError, ValueError, ZeroDivisionError) as error:
        raise Unscorable("PESQ finds no utterance in it") from error


def stoi(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Short-time objective intelligibility, 0..1."""
    pystoi = _package("pystoi")
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            return float(pystoi.stoi(reference, estimate, SAMPLE_RATE_HZ))
        except RuntimeWarning as warning:
            raise Unscorable("STOI finds too little speech in it") from warning


def _single_threaded(path: str) -> Any:
    """A session of ONNX Runtime, which the demo, whose only score is PESQ, does without."""
    onnxruntime = _package("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # its pool keeps half a gigabyte per process between two clips
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


@functools.cache
def _dnsmos_model(personalised: bool) -> Any:
    dnsmos = _package("speechmos.dnsmos")
    folder = Path(dnsmos.__file__).parent
    primary = folder / ("pdnsmos_models" if personalised else "dnsmos_models") / "sig_bak_ovr.onnx"
    model = dnsmos.DNSMOS(str(primary), str(folder / "dnsmos_models" / "model_v8.onnx"))
    model.onnx_sess = _single_threaded(str(primary))
    model.p808_onnx_sess = _single_threaded(str(folder / "dnsmos_models" / "model_v8.onnx"))
    return model


def dnsmos(estimate: np.ndarray, personalised: bool = False) -> dict[str, float]:
    """DNSMOS P.835 as {'sig', 'bak', 'ovrl'}, 1..5, without a reference.

    A clip shorter than the 9.01 s that the model hears at once is repeated to that length.
    """
    samples = np.clip(np.asarray(estimate, np.float32), -1.0, 1.0)
    if len(samples) < DNSMOS_SAMPLES:
        samples = np.resize(samples, DNSMOS_SAMPLES)
    scores = _dnsmos_model(personalised)(samples, SAMPLE_RATE_HZ, personalised)
    return {name: float(scores[f"{name}_mos"]) for name in ("sig", "bak", "ovrl")}


@functools.cache
def _aecmos_model() -> Any:
    model = _package("speechmos.aecmos").AECMOS("aecmos_16kHz")
    model.ort_session = _single_threaded(model.model_path)
    return model


def aecmos(
    far_end: np.ndarray, microphone: np.ndarray, enhanced: np.ndarray, talk_type: Literal["st", "nst", "dt"]
) -> dict[str, float]:
    """AECMOS as {'echo', 'degradation'}, 1..5; arrays of equal length, of which the first 20 s count."""
    limit = 20 * SAMPLE_RATE_HZ - 1
    signals = {
        name: np.clip(np.asarray(samples, np.float32)[:limit], -1.0, 1.0)
        for name, samples in (("lpb", far_end), ("mic", microphone), ("enh", enhanced))
    }
    scores = _aecmos_model()(signals, talk_type)
    return {"echo": scores["echo_mos"], "degradation": scores["deg_mos"]}

"""Which numbers a clip's output gets, by the set it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import soxr

from evaluation.metrics import perceptual, upper_band
from evaluation.metrics.perceptual import Unscorable
from evaluation.metrics.signal import (
    SAMPLE_RATE_HZ,
    erle_db,
    is_wrong_talker,
    level_change_db,
    onset_loss,
    over_suppression,
    si_sdr,
    suppression_db,
)
from evaluation.sets import FULL_BAND_CLEAN, FULL_BAND_NOISE, FULL_BAND_TALKERS
from evaluation.sets.render import Clip

CLEAN_INPUT_DB = 60.0
"""An input this near to the reference is clean: nothing can be gained there."""
PESQ_SETS = {
    "two-talkers", "three-talkers", "noise", "voicebank", "clean", "voices", "pairs",
    FULL_BAND_CLEAN, FULL_BAND_NOISE, FULL_BAND_TALKERS,
}  # fmt: skip
DNSMOS_SETS = {"noise", "voicebank", "clean", "pairs"}
PERSONALISED_DNSMOS_SETS = {"two-talkers"}

Depth = Literal["signal", "pesq", "full"]
"""How dear the scores may be: ratios only, with PESQ and STOI, or with DNSMOS too (half a second a clip)."""


@dataclass
class Scores:
    """The numbers of one output, and why there are not more of them."""

    metrics: dict[str, float] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)

    def attempt(self, measure: Callable[[], dict[str, float]]) -> None:
        """Add what a perceptual metric says, or why it says nothing."""
        try:
            self.metrics |= measure()
        except Unscorable as why:
            self.reasons.append(str(why))


def score(clip: Clip, output: np.ndarray, depth: Depth) -> Scores:
    """Score an aligned output, (samples,) float32 like the mixture.

    Of a full-band scene, what is below 8 kHz is scored as the other scenes are, at 16 kHz, and what is above by itself.
    Metrics that are not defined are left out, with the reason.
    """
    if clip.scene.rate_hz == SAMPLE_RATE_HZ:
        return _score(clip, output, depth)
    scores = _score(_below(clip), _at_model_rate(output, clip.scene.rate_hz), depth)
    above = _above(clip, output)
    scores.metrics |= {name: value for name, value in above.items() if np.isfinite(value)}
    return scores


def _score(clip: Clip, output: np.ndarray, depth: Depth) -> Scores:
    scores = Scores()
    if not clip.mixture.any():
        scores.reasons.append("the input is silent")
        return scores
    if clip.scene.echo:
        _score_echo(clip, output, scores)
    elif clip.scene.set == "target-late":
        _score_target_late(clip, output, scores)
    elif clip.reference is None:
        _score_interferer_only(clip, output, scores)
    else:
        _score_against_reference(clip, output, scores)
        if depth != "signal":
            _score_perceptually(clip, output, depth, scores)
    scores.metrics = {name: value for name, value in scores.metrics.items() if np.isfinite(value)}
    return scores


def _at_model_rate(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    return soxr.resample(samples, rate_hz, SAMPLE_RATE_HZ)


def _below(clip: Clip) -> Clip:
    """The clip at 16 kHz: what is below 8 kHz."""
    reference, interference = (
        None if part is None else _at_model_rate(part, clip.scene.rate_hz)
        for part in (clip.reference, clip.interference)
    )
    mixture = _at_model_rate(clip.mixture, clip.scene.rate_hz)
    return replace(clip, mixture=mixture, reference=reference, interference=interference)


def _above(clip: Clip, output: np.ndarray) -> dict[str, float]:
    """What becomes of sound above 8 kHz, in clips whose every part has some."""
    rate_hz, mixture = clip.scene.rate_hz, clip.mixture
    reference = np.zeros_like(mixture) if clip.reference is None else clip.reference
    other = mixture - reference
    wanted, given, heard = (upper_band.above(part, rate_hz) for part in (reference, mixture, output))
    parts = [(whole, part) for whole, part in ((reference, wanted), (other, given - wanted)) if whole.any()]
    if not parts or not all(upper_band.carries(*both) for both in parts):
        return {}
    if not reference.any():
        return _taken_away(mixture, output, given, heard, rate_hz)
    metrics = {
        "si_sdr_above": upper_band.si_sdr_above(wanted, heard),
        "lsd_above_db": upper_band.log_spectral_distance_db(wanted, heard, rate_hz),
        "level_change_above_db": level_change_db(wanted, heard, rate_hz),
    }
    if other.any():
        metrics["si_sdr_gain_above"] = metrics["si_sdr_above"] - upper_band.si_sdr_above(wanted, given)
    if clip.scene.noise and clip.scene.target:
        # Noise alone comes first, as long as the target waits.
        alone = slice(round(clip.scene.target.at * rate_hz))
        metrics |= _taken_away(mixture[alone], output[alone], given[alone], heard[alone], rate_hz)
    return metrics


def _taken_away(
    mixture: np.ndarray, output: np.ndarray, mixture_above: np.ndarray, output_above: np.ndarray, rate_hz: int
) -> dict[str, float]:
    """Of sound that should go: what is gone below and above 8 kHz, and by how much less above."""
    below = suppression_db(_at_model_rate(mixture, rate_hz), _at_model_rate(output, rate_hz))
    above = suppression_db(mixture_above, output_above)
    return {"suppression_db": below, "suppression_above_db": above, "suppression_shortfall_db": below - above}


def _score_against_reference(clip: Clip, output: np.ndarray, scores: Scores) -> None:
    reference = clip.reference
    assert reference is not None
    if not reference.any():
        scores.reasons.append("the reference is silent")
        return
    if not output.any():
        scores.reasons.append("the output is silent")
    else:
        _score_si_sdr(reference, clip.mixture, output, scores)
        scores.metrics["level_change_db"] = level_change_db(reference, output)
    lost = over_suppression(reference, output)
    scores.metrics["tsos"] = lost.share
    scores.metrics["tsos_active"] = lost.active_share
    scores.metrics["tsos_longest_ms"] = lost.longest_ms
    if clip.interference is not None:
        scores.metrics["wrong_talker"] = is_wrong_talker(reference, clip.interference, output)


def _score_si_sdr(reference: np.ndarray, mixture: np.ndarray, output: np.ndarray, scores: Scores) -> None:
    before, after = si_sdr(reference, mixture), si_sdr(reference, output)
    scores.metrics["si_sdr"] = after
    if before < CLEAN_INPUT_DB:
        scores.metrics["si_sdr_gain"] = after - before


def _score_perceptually(clip: Clip, output: np.ndarray, depth: Depth, scores: Scores) -> None:
    reference = clip.reference
    assert reference is not None
    if not output.any() or not reference.any():
        return
    if clip.scene.set in PESQ_SETS:
        scores.attempt(lambda: {"pesq": perceptual.pesq_wb(reference, output)})
        scores.attempt(lambda: {"stoi": perceptual.stoi(reference, output)})
    if depth == "full" and clip.scene.set in DNSMOS_SETS:
        scores.attempt(lambda: _prefixed("dnsmos", perceptual.dnsmos(output)))
    if depth == "full" and clip.scene.set in PERSONALISED_DNSMOS_SETS:
        scores.attempt(lambda: _prefixed("pdnsmos", perceptual.dnsmos(output, personalised=True)))


def _score_interferer_only(clip: Clip, output: np.ndarray, scores: Scores) -> None:
    scores.metrics["suppression_db"] = suppression_db(clip.mixture, output)
    scores.metrics["input_energy"] = float(np.square(clip.mixture, dtype=np.float64).sum())
    scores.metrics["output_energy"] = float(np.square(output, dtype=np.float64).sum())


def _score_target_late(clip: Clip, output: np.ndarray, scores: Scores) -> None:
    """Before the target speaks, the others must go; from its first second on, it must come through."""
    target = clip.scene.target
    assert target is not None and clip.reference is not None
    start = round(target.at * SAMPLE_RATE_HZ)
    scores.metrics["suppression_before_db"] = suppression_db(clip.mixture[:start], output[:start])
    reference, heard, mixture = clip.reference[start:], output[start:], clip.mixture[start:]
    if not heard.any():
        scores.reasons.append("the output is silent where the target speaks")
    else:
        _score_si_sdr(reference, mixture, heard, scores)
    scores.metrics["tsos_active"] = over_suppression(reference, heard).active_share
    scores.metrics["tsos_onset"] = onset_loss(reference, heard)


def _score_echo(clip: Clip, output: np.ndarray, scores: Scores) -> None:
    echo, far_end, reference = clip.scene.echo, clip.far_end, clip.reference
    assert echo is not None and far_end is not None
    if echo.talk_type == "st":
        scores.metrics["erle_db"] = erle_db(clip.mixture, output)
    if not output.any():
        scores.reasons.append("the output is silent, which AECMOS cannot judge")
        return
    scores.attempt(
        lambda: _prefixed("aecmos", perceptual.aecmos(far_end, clip.mixture, output, echo.talk_type))
    )
    # Without an echo, or without a near end, one of the two opinions is about nothing.
    scores.metrics.pop({"st": "aecmos_degradation", "nst": "aecmos_echo"}.get(echo.talk_type, ""), None)
    if reference is not None and clip.scene.target is not None:
        start = round(clip.scene.target.at * SAMPLE_RATE_HZ)
        scores.metrics["si_sdr"] = si_sdr(reference[start:], output[start:])
        scores.attempt(lambda: {"pesq": perceptual.pesq_wb(reference[start:], output[start:])})


def _prefixed(prefix: str, values: dict[str, float]) -> dict[str, float]:
    return {f"{prefix}_{name}": value for name, value in values.items()}

"""The page about the band above 8 kHz: ``python -m studies upper-band-page`` writes docs/full-band.md.

All figures are those of the results file and the constants of the rule that ships.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from edge_pse.upper_band import SHIPPED
from evaluation.earlier import marked
from evaluation.report.markdown import table
from studies.upper_band import command
from studies.upper_band.command import BELOW, DISTANCE, GAIN, KURTOSIS, LESS, REST, SIBILANTS, TAKEN, VOICE
from studies.upper_band.rules import RULES, SHIPS, UNTOUCHED
from studies.upper_band.scenes import ALONE, HISS, HISS_SNR_DB, LEAD_HOPS, NOISE, OTHERS, SNR_DB, TALKERS

PAGE = Path(__file__).parents[2] / "docs" / "full-band.md"
SETS = {"data": "phones", "voices": "letters"}

_HEAD = """# The band above 8 kHz

The networks hear what is below 8 kHz. A stream of a higher rate keeps what is above, and this page says how. It is
written by `python -m studies upper-band-page` from `studies/upper_band/results.json`, which `python -m studies
upper-band --data DATA --voices VOICES` measures. What becomes of whole sounds beside other systems is in
[results](results.md).

## No rate is changed

A window of 20 ms has bins of 50 Hz at any rate: 320 samples at 16 kHz, 960 at 48 kHz. So a stream is windowed at its
own rate, the network is given the lower 160 bins, and its output goes back to where they were. The last 600 Hz of
these bins fade out for the network, as they did in its training. What fades stays with the bins above.
"""
_RULE = """## The rule

Each hop of 10 ms has two gains, and the lesser one counts (`edge_pse/upper_band.py`).

1. **What was kept below**, from {lowest:g} to {highest:g} kHz, where sibilants are. If X is what the network was
   given there and Y what it gave, both with all their bins, then k = <X, Y> / <X, X>, held between 0 and 1. The gain
   is k (1 + {forgiven:g} k), at most 1. It is scaled by how much of the wanted voice there was lately: by
   C / ({enough:g} W), at most 1, where C and W are sums of <X, Y> and <X, X> over all bins of the network and over
   hops, which fall to 1/e in {lately:g} s. At least {least_kept:g} is left. The gain rises at once and falls by
   {fall:g} of the way a hop. It is the same for all that is above 8 kHz.
2. **What is above steady noise**, in bands that begin at {edges} kHz. The noise N is the least of the smoothed power
   P in the last {shortest:.1f} to {longest:.1f} s. The gain is the root of 1 - {subtracted:g} N / P, at least
   {least_over_noise:g}. It rises at once and falls by {noise_fall:g} of the way a hop. Between the middles of the
   bands it runs in straight lines.

The second gain is needed because the first is one number. While somebody speaks it is near 1, and hiss above 8 kHz
would come and go with each word.

No gain is above 1, nothing is delayed, and a sound that has nothing above 8 kHz gets nothing there. A hop takes
{cost_ms:.3f} ms at 48 kHz, {share:.0f} % of what a step of the network takes ({model}, on the machine that
measured).
"""
_MEASURED = """## What was measured

There are {phones} voices of phones and {letters} of letters, each enrolled by its other recordings; only voices with
sound above 8 kHz count. Phones: read sentences at 48 kHz, of the evaluation data. Letters: letters and single words in
many languages at 44.1 kHz, from Debian's packages `klettres-data` and `ktuberling-data`. They say whether a rule that
is chosen by few voices holds for more. Some recordings have noise of their own, which counts as voice here.

Noise is white, pink, hiss, a keyboard, and a recording, at {snr:g} dB, {lead:.1f} s before the voice and with it.
"Hiss" is noise above 8.5 kHz only, which the network can't hear, at {hiss_snr:g} dB. Two talkers are equally loud.
All figures are of 8.25 to 20 kHz, from the spectra of 20 ms; since gains are known, wanted voice and rest are scored
apart. LSD is the log-spectral distance from the wanted voice. "Less above than below" compares what is left above
with what is left of 4 to 7.25 kHz: 0 is as below, and less than 0 is better. The log kurtosis ratio says how much of
noise sounds like tones when most of it is taken away: 0 is as the noise was.
"""
_FOUND = """The wanted voice loses {voice:.1f} and {voice_letters:.1f} dB above 8 kHz, of phones and of letters, and
{below:.1f} and {below_letters:.1f} dB from 4 to 7.25 kHz. What is left of others who talk alone is 3 dB louder than
what is left below, or less; noise is fainter. Hiss above the network's band is {hiss:.0f} and {hiss_letters:.0f} dB
fainter while the voice speaks.

**What it can't.** All that is above 8 kHz has one fate in a hop, but for steady noise. Where two speak at once, it is
taken away as far as both together are below, and the wanted voice with it: SI-SDR falls by {talkers:.1f} and
{talkers_letters:.1f} dB. Bins where only one of them sounds would be needed to part them, and a network that hears
these. Sibilants that the network takes for noise are gone above, too: {lost:.0f} and {lost_letters:.0f} % of them lose
over 6 dB.
"""
_TRIED = """## What else was tried

Each row is what ships with one thing changed.
"""
_FAILED = """Three further ways were given up before there was this study.

- **A gain that is learnt**: a line through what was kept of each kHz and its squares, by least squares, fitted to all
  voices but the one that is scored, for each band by itself. It lost more of the voice and left far more of noise that
  is alone: the least squared error is a mean of both.
- **Noise that is learnt while the network takes away what is below**, instead of the least of the last second. It took
  hiss away as well and more of the voice. Where there is nothing at all below, a network keeps half of nothing, and
  hiss above it was never learnt.
- **The root of what agrees times energy**: in between the two, in every column.
"""
REASONS = {
    list(RULES)[2]: "loses more of the voice; keyboards and hiss stay",
    "energy instead of what agrees": "as good; what comes out late or is made up counts as kept",
    "the part of 1 kHz of which most is kept": "vowels, of which most is kept, let more of others through",
    "the mean over bins": "loses more of the voice",
    "from 1 kHz": "vowels let noise through",
    "from 3 kHz": "as good",
    "from 5 kHz": "loses more of the voice",
    "nothing forgiven": "loses more of the voice, sibilants above all",
    "twice forgiven": "leaves more of others",
    "each hop by itself": "others and clicks come through wherever a hop of the network does",
    "enough is 0.25 of what was heard lately": "as good; a voice that begins after others opens later",
    "enough is 0.5 of what was heard lately": "loses more of a voice beside another",
    "lately is 0.1 s": "keyboards: what is between two clicks is forgotten",
    "lately is 1 s": "as good; a voice that begins after others opens later",
    "down to nothing": "what is left of noise sounds like tones, and is fainter than below for nothing",
    "0.01 kept of all": "noise stays above that is gone below",
    "falls by a quarter a hop": "others stay after each sibilant",
    "falls at once": "cuts sibilants short, most of those that are partly kept",
    "one gain: no noise is subtracted": "hiss comes and goes with each word",
    "noise subtracted once": "the least of noise is less than its mean: half of it stays",
    "0.2 of noise left": "more hiss stays",
    "0.1 of noise left": "more hiss stays",
    "0.01 of noise left": "little is gained, and gains move five times as far",
    "noise of 0.6 s": "weak sibilants count as noise",
    "noise of 2.4 s": "hiss that begins stays for longer",
    "one band": "noise that is only in a part of the band stays",
}
"""Why each rule does not ship."""


@dataclass(frozen=True)
class Column:
    """Of the tables."""

    title: str
    case: str
    metric: str
    digits: int = 1

    def cell(self, scores: Mapping[str, float]) -> str:
        """Its figure."""
        return f"{round(scores[f'{self.case}: {self.metric}'], self.digits) + 0.0:.{self.digits}f}"  # no -0.0


COLUMNS = (
    Column("voice alone, dB", ALONE, VOICE, 2),
    Column("sibilants that lose over 6 dB, %", ALONE, SIBILANTS),
    Column("others alone: less above than below, dB", OTHERS, LESS),
    Column("two talkers: SI-SDR gain, dB", TALKERS, GAIN),
    Column("noise before the voice: less above than below, dB", NOISE, LESS),
    Column("its log kurtosis ratio", NOISE, KURTOSIS),
    Column("in noise: SI-SDR gain, dB", NOISE, GAIN),
    Column("in noise: LSD, dB", NOISE, DISTANCE),
    Column("hiss: LSD, dB", HISS, DISTANCE),
    Column("hiss while the voice speaks, dB", HISS, REST),
)
"""Of all rules."""
SHIPPED_ROWS = (
    (ALONE, VOICE), (ALONE, BELOW), (ALONE, SIBILANTS), (ALONE, DISTANCE), (OTHERS, TAKEN), (OTHERS, LESS),
    (TALKERS, VOICE), (TALKERS, GAIN), (TALKERS, DISTANCE), (NOISE, LESS), (NOISE, KURTOSIS), (NOISE, VOICE),
    (NOISE, REST), (NOISE, GAIN), (NOISE, DISTANCE), (HISS, VOICE), (HISS, REST), (HISS, GAIN), (HISS, DISTANCE),
)  # fmt: skip
"""Of what ships."""


def shipped_table(found: Mapping[str, Any]) -> str:
    """What ships, beside nothing and the first that was tried."""
    names = [UNTOUCHED, list(RULES)[2], SHIPS]
    rows = []
    for case, metric in SHIPPED_ROWS:
        column = Column("", case, metric, 2 if metric == VOICE else 1)
        rows.append(
            [f"{case}: {metric}", *(column.cell(found[of]["rules"][name]) for of in SETS for name in names)]
        )
    header = [f"{title}: {name}" for title in SETS.values() for name in ("untouched", "first tried", "ships")]
    return table(["", *header], rows)


def tried_table(scores: Mapping[str, Mapping[str, float]], names: Sequence[str]) -> str:
    """A row for each rule."""
    rows = [
        [name, *(column.cell(scores[name]) for column in COLUMNS), REASONS.get(name, "")] for name in names
    ]
    return table(["rule", *(column.title for column in COLUMNS), "why not"], rows)


def _figures(found: Mapping[str, Any]) -> dict[str, float]:
    """Of the sentences beside the table of what ships; losses are positive."""
    wanted = {
        "voice": (ALONE, VOICE), "below": (ALONE, BELOW), "lost": (ALONE, SIBILANTS), "hiss": (HISS, REST),
        "talkers": (TALKERS, GAIN),
    }  # fmt: skip
    return {
        f"{name}{suffix}": abs(found[of]["rules"][SHIPS][f"{case}: {metric}"])
        for name, (case, metric) in wanted.items()
        for of, suffix in (("data", ""), ("voices", "_letters"))
    }


def _filled(text: str) -> str:
    """Paragraphs and items of lists in lines of one width."""

    def lines(paragraph: str) -> str:
        indent = "   " if paragraph[:2].rstrip(".").isdigit() else ""
        return textwrap.fill(
            " ".join(paragraph.split()), 117, subsequent_indent=indent, break_long_words=False
        )

    paragraphs = re.split(r"\n\n|\n(?=\d\. )", text.strip())
    filled = [lines(paragraph) for paragraph in paragraphs]
    return "\n\n".join(filled)


def page(found: Mapping[str, Any]) -> str:
    """The whole page, as Markdown."""
    part_seconds = SHIPPED.part_hops / 100
    parts = [
        _HEAD,
        _filled(
            _RULE.format(
                lowest=SHIPPED.lowest_hz / 1000,
                highest=SHIPPED.highest_hz / 1000,
                forgiven=SHIPPED.forgiven,
                least_kept=SHIPPED.least_kept,
                fall=SHIPPED.fall,
                enough=SHIPPED.lately_enough,
                lately=SHIPPED.lately_hops / 100,
                edges=", ".join(f"{hz / 1000:g}" for hz in SHIPPED.noise_edges_hz[:-1])
                + f" and {SHIPPED.noise_edges_hz[-1] / 1000:g}",
                shortest=2 * part_seconds,
                longest=3 * part_seconds,
                subtracted=SHIPPED.subtracted,
                least_over_noise=SHIPPED.least_over_noise,
                noise_fall=SHIPPED.noise_gain_fall,
                cost_ms=found["cost_ms"],
                share=100 * found["cost_ms"] / found["network_ms"],
                model=found["model"],
            )
        ),
        _filled(
            _MEASURED.format(
                phones=found["data"]["talkers"],
                letters=found["voices"]["talkers"],
                snr=SNR_DB,
                lead=LEAD_HOPS / 100,
                hiss_snr=HISS_SNR_DB,
            )
        ),
        shipped_table(found),
        _filled(_FOUND.format(**_figures(found))),
        _TRIED,
        *(
            f"Voices of {title}:\n\n{tried_table(found[of]['rules'], list(RULES))}"
            for of, title in SETS.items()
        ),
        _FAILED,
    ]
    return marked("\n\n".join(part.strip() for part in parts) + "\n")


@click.command()
def main() -> None:
    """Write docs/full-band.md."""
    PAGE.write_text(page(json.loads(command.RESULTS.read_text(encoding="utf-8"))), encoding="utf-8")
    click.echo(f"{PAGE} is written.")

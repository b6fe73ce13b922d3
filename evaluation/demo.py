"""A voice lifted out of a crowd: ``make demo``.

Enrolls a real voice, hides another sentence of his under another talker and noise, takes it out again, and shows what
that is worth: figures, a picture, and the sound files to listen to, with the whole band up to 20 kHz. The figures are
of what is below 8 kHz, as the metrics are defined.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import soundfile
import soxr
from rich.console import Console
from rich.table import Table

import edge_pse
from evaluation.metrics.perceptual import Unscorable, pesq_wb
from evaluation.metrics.signal import SAMPLE_RATE_HZ, si_sdr

RECORDINGS = Path(__file__).parents[1] / "tests/fixtures"
RATE_HZ, HIGHEST_HZ = 48_000, 20_000
SIR_DB, SNR_DB = 0.0, 10.0


def read(name: str) -> np.ndarray:
    """One of the recordings that came with the project, (samples,) float32 at ``RATE_HZ``."""
    samples, rate = soundfile.read(RECORDINGS / f"{name}.opus", dtype="float32")
    return np.asarray(soxr.resample(samples, rate, RATE_HZ))


def mix() -> tuple[np.ndarray, np.ndarray]:
    """The wanted voice by itself, and under the other voice and the noise: (samples,) each."""
    wanted, other, noise = read("msc4g8_speech"), read("ls367_speech"), read("noise_48k")
    length = min(len(wanted), len(other))
    wanted, other, noise = wanted[:length], other[:length], np.resize(noise, length)
    mixture = wanted.copy()
    for sound, ratio_db in ((other, SIR_DB), (noise, SNR_DB)):
        mixture += sound * np.sqrt(np.mean(wanted**2) / np.mean(sound**2)) * 10 ** (-ratio_db / 20)
    scale = 0.7 / np.abs(mixture).max()
    return scale * wanted, scale * mixture


def draw(path: Path, signals: dict[str, np.ndarray]) -> None:
    """Spectrograms, one above the other, as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 2.1 * len(signals)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(signals), 1, sharex=True)
    for axis, (title, signal) in zip(axes, signals.items(), strict=True):
        axis.specgram(signal + 1e-6, NFFT=1536, noverlap=1152, Fs=RATE_HZ, vmin=-120, vmax=-45, cmap="magma")
        axis.set_ylim(0, HIGHEST_HZ)
        axis.set_title(title, loc="left", fontsize=10)
        axis.set_ylabel("Hz")
    axes[-1].set_xlabel("seconds")
    figure.savefig(path, dpi=80)


@click.command()
@click.option("--model", "model_name", default="pvqe-s", show_default=True, help="Name or path of a model.")
@click.option("--output", type=click.Path(path_type=Path), default=Path("demo-output"), show_default=True)
def main(model_name: str, output: Path) -> None:
    """Enroll, mix, enhance, show."""
    console = Console()
    output.mkdir(parents=True, exist_ok=True)
    model = edge_pse.Model.load(model_name)
    profile = edge_pse.enroll(read("msc4g8_enrollment"), RATE_HZ, model=model, name="4g8")
    wrong = edge_pse.enroll(read("ls367_enrollment"), RATE_HZ, model=model, name="367")
    reference, mixture = mix()
    outputs = {
        "input": mixture,
        "his profile": edge_pse.Enhancer(model, profile).enhance(mixture, RATE_HZ),
        "the other talker's profile": edge_pse.Enhancer(model, wrong).enhance(mixture, RATE_HZ),
        "no profile": edge_pse.Enhancer(model).enhance(mixture, RATE_HZ),
    }
    table = Table(title=f"One voice, another at {SIR_DB:.0f} dB, noise at {SNR_DB:.0f} dB")
    for heading in ("", "SI-SDR, dB", "PESQ-WB"):
        table.add_column(heading, justify="left" if not heading else "right")
    missing = ""
    clean = soxr.resample(reference, RATE_HZ, SAMPLE_RATE_HZ)
    for title, signal in outputs.items():
        scored = soxr.resample(signal, RATE_HZ, SAMPLE_RATE_HZ)
        try:
            pesq = f"{pesq_wb(clean, scored):.2f}"
        except Unscorable:
            pesq, missing = "-", "PESQ is not installed: it needs a C compiler, then `pip install pesq`."
        table.add_row(title, f"{si_sdr(clean, scored):.1f}", pesq)
        soundfile.write(output / f"{title.replace(' ', '-').replace(chr(39), '')}.wav", signal, RATE_HZ)
    soundfile.write(output / "reference.wav", reference, RATE_HZ)
    draw(
        output / "spectrograms.png",
        {
            "input": mixture,
            "reference: what he said": reference,
            "output, his profile": outputs["his profile"],
        },
    )
    console.print(table)
    if missing:
        console.print(missing)
    console.print(f"Listen and look: {output}/*.wav, {output}/spectrograms.png")


if __name__ == "__main__":
    main()

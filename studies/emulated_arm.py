"""The model files on an emulated Cortex-A53: ``python -m studies emulated-arm --root FOLDER``.

That core has no dot product of bytes, so the kernels are those of a Raspberry Pi 3. The wheels for aarch64 run under
QEMU's user mode in a small root of Debian packages, which is made in FOLDER once. The output has to be that of this
machine. Says why and ends with status 0 where it can't run. Times under emulation mean nothing, none are taken.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import click
import numpy as np

from edge_pse.backends import RUNTIMES
from edge_pse.enrollment import embed
from edge_pse.model import Model, available_models
from edge_pse.model_file import description_path
from quantization.calibration import CHECK, SAMPLE_RATE_HZ, mixtures
from quantization.measure import ROOT
from quantization.quality import enhance, snr_db
from quantization.worker import write_arrays

EMULATOR = "qemu-aarch64-static"
MAX_DIFFERENCE = 1e-3  # of the samples, relative to the largest
SECONDS = 2
PYTHON = "python3.11"
# Python and the libraries that it, numpy and the runtimes are linked with.
PACKAGES = (
    "libc6", "libgcc-s1", "libstdc++6", "zlib1g", "libexpat1", "libssl3", "libffi8", "libbz2-1.0", "liblzma5",
    "libuuid1", "libcrypt1", "libpython3.11-minimal", "libpython3.11-stdlib", "python3.11-minimal",
)  # fmt: skip
RUNTIMES_CHECKED = ("onnx", "litert")
# soxr, platformdirs, soundfile and its cffi are what the device library imports; the rest belongs to LiteRT.
WHEELS = (
    "numpy<2.4", "soxr", "platformdirs", "soundfile", "cffi", "pycparser", "flatbuffers", "protobuf",
    "typing_extensions", "tqdm", "backports.strenum",
)  # fmt: skip
# What the runtimes read of the processor. Without it XNNPACK does not start, and LiteRT runs in other kernels, whose
# dynamic layers round their inputs in another way.
PROCESSORS = "0-3\n"
CPUINFO = """\
processor\t: {}
BogoMIPS\t: 38.40
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd03
CPU revision\t: 4

"""
PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64")


def reason_to_skip() -> str | None:
    """Why emulation can't run here, None if it can."""
    if os.geteuid() != 0:
        return "chroot needs root."
    for program, package in ((EMULATOR, "qemu-user-static"), ("dpkg", "dpkg"), ("apt-get", "apt")):
        if shutil.which(program) is None:
            return f"{program} is missing: apt-get install {package}."
    missing = [name for name in RUNTIMES_CHECKED if RUNTIMES[name].installed_version() is None]
    if missing:
        return f"to compare with, this machine needs {' and '.join(RUNTIMES[name].distribution for name in missing)}."
    return None


def make_root(root: Path) -> None:
    """An aarch64 root with Python, the runtimes in the versions of this machine, and the device library."""
    if not (root / "opt/site").exists():
        _unpack_packages(root)
        _install_wheels(root / "opt/site")
    shutil.copy(str(shutil.which(EMULATOR)), root / "emulator")
    (root / "dev").mkdir(exist_ok=True)
    for name, minor in (("null", 3), ("urandom", 9)):
        if not (root / "dev" / name).exists():
            os.mknod(root / "dev" / name, 0o20666, os.makedev(1, minor))
    _describe_processor(root)
    for package in ("edge_pse", "quantization"):
        shutil.copytree(ROOT / package, root / "work" / package, dirs_exist_ok=True)


def _describe_processor(root: Path) -> None:
    system = root / "sys/devices/system/cpu"
    system.mkdir(parents=True, exist_ok=True)
    for name in ("possible", "present"):
        (system / name).write_text(PROCESSORS)
    (root / "proc").mkdir(exist_ok=True)
    (root / "proc/cpuinfo").write_text("".join(CPUINFO.format(number) for number in range(4)))


@dataclass(frozen=True)
class Comparison:
    """Of the emulated core's output with that of this machine."""

    difference: float
    """The largest, relative to the largest sample."""
    snr_here: float
    """Output SNR against fp32, in dB."""
    snr_there: float

    def holds(self) -> bool:
        """Whether both are the same."""
        return self.difference <= MAX_DIFFERENCE

    def __str__(self) -> str:
        same = "within" if self.difference <= MAX_DIFFERENCE else "NOT within"
        return (
            f"{self.difference:.1e} of the largest sample, {same} {MAX_DIFFERENCE}; against fp32 "
            f"{self.snr_here:.1f} dB here, {self.snr_there:.1f} dB there"
        )


def compare(model: Path, runtime: str, root: Path) -> Comparison:
    """Two seconds of real speech on both, with the profile that fp32 makes here.

    What lies over the speech is an echo for a model with a far end.
    """
    mixture = mixtures(CHECK[:1])[0]
    assert mixture.enrollment is not None
    own = Model.load(model, runtime)
    fp32 = Model.load(model.with_name(f"{own.contract.network}.fp32.onnx"), "onnx")
    embedding = embed(mixture.enrollment, fp32.profile_network())
    length = SECONDS * SAMPLE_RATE_HZ
    noisy, far_end = mixture.noisy[:length], mixture.far_end[:length] if own.contract.far_end else None
    with tempfile.TemporaryDirectory(dir=root / "work") as folder:
        job, result = Path(folder) / "job.npz", Path(folder) / "result.npz"
        for file in (model, description_path(model)):
            if file.exists():
                shutil.copy(file, folder)
        arrays = {"profiles": np.array([0]), "embeddings": embedding[None], "noisy_0": noisy}
        write_arrays(job, arrays if far_end is None else {**arrays, "far_end_0": far_end})
        files = [f"/{path.relative_to(root)}" for path in (Path(folder) / model.name, job, result)]
        _run_emulated(runtime, root, files)
        with np.load(result) as content:
            there = content["enhanced_0"]
    here = enhance(own, noisy, embedding, far_end)
    wanted = enhance(fp32, noisy, embedding, far_end)
    difference = float(np.abs(here - there).max() / np.abs(here).max())
    return Comparison(difference, snr_db(wanted, here), snr_db(wanted, there))


def _run_emulated(runtime: str, root: Path, files: list[str]) -> None:
    model, *arrays = files
    command = [
        "chroot", str(root), "/emulator", "-cpu", "cortex-a53", f"/usr/bin/{PYTHON}", "-m", "quantization.worker",
        "run", model, runtime, *arrays,
    ]  # fmt: skip
    environment = {"PATH": "/usr/sbin:/usr/bin:/bin", "PYTHONPATH": "/work:/opt/site", "HOME": "/work"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise click.ClickException(
            f"{Path(model).name} on {runtime} fails under emulation: {done.stderr[-300:]}"
        )


def _unpack_packages(root: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        for name in ("lists/partial", "cache/archives/partial", "packages"):
            (state / name).mkdir(parents=True)
        (state / "status").touch()
        # The sources of this machine, for another architecture and without touching its own lists.
        apt = [
            "apt-get", "-qq", "-o", "APT::Architecture=arm64", "-o", "APT::Architectures::=arm64", "-o",
            f"Dir::State={state}", "-o", f"Dir::State::status={state}/status", "-o", f"Dir::Cache={state}/cache",
            "-o", "APT::Sandbox::User=root",
        ]  # fmt: skip
        subprocess.run([*apt, "update"], check=True)
        subprocess.run([*apt, "download", *PACKAGES], check=True, cwd=state / "packages")
        root.mkdir(parents=True, exist_ok=True)
        for package in sorted((state / "packages").glob("*.deb")):
            subprocess.run(["dpkg", "-x", str(package), str(root)], check=True)


def _install_wheels(target: Path) -> None:
    runtimes = [RUNTIMES[name].distribution for name in RUNTIMES_CHECKED]
    wheels = [*WHEELS, *(f"{name}=={metadata.version(name)}" for name in runtimes)]
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    subprocess.run(
        [
            sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target),
            "--only-binary=:all:", *platforms, "--python-version", "3.11", "--implementation", "cp", *wheels,
        ],
        check=True,
    )  # fmt: skip


@click.command()
@click.option(
    "--root", type=click.Path(file_okay=False, path_type=Path), required=True, help="Kept between runs."
)
@click.argument("models", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(root: Path, models: tuple[Path, ...]) -> None:
    """Compare MODELS, or else the shipped files, on an emulated Cortex-A53 with this machine."""
    reason = reason_to_skip()
    if reason is not None:
        click.echo(f"Skipped: {reason}")
        return
    make_root(root.resolve())
    wrong = []
    for model in models or available_models():
        for runtime in RUNTIMES_CHECKED:
            if RUNTIMES[runtime].suffix == model.suffix:
                comparison = compare(model, runtime, root.resolve())
                click.echo(f"{model.name} on {runtime}: {comparison}")
                if not comparison.holds():
                    wrong.append(model.name)
    if wrong:
        raise click.ClickException(f"Not what this machine gives: {', '.join(wrong)}.")

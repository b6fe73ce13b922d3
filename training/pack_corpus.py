"""Cut a corpus into parts of a limited size, for a machine that it must be carried to: ``python -m training.pack_corpus
--speech SPEECH --noise NOISE --rooms ROOMS -o PARTS``.

Files stay as they are: Opus is small enough. A part is a tar file of them under ``speech/``, ``noise/``, ``rooms/``.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from training.simulation.corpus import audio_files

MEBIBYTE = 1 << 20


def pack(folders: dict[str, Sequence[Path]], out: Path, limit_bytes: int) -> list[Path]:
    """Write the audio of ``folders`` (by kind) as tar files of at most ``limit_bytes`` each; their paths.

    Raises ValueError for a file that alone is larger than a part.
    """
    out.mkdir(parents=True, exist_ok=True)
    parts: list[list[tuple[Path, str]]] = [[]]
    size = end = tarfile.RECORDSIZE
    for path, name in _named(folders):
        needed = 3 * tarfile.BLOCKSIZE + -(-path.stat().st_size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
        if needed + end > limit_bytes:
            raise ValueError(f"{path} is larger than a part may be: cut it, or allow larger parts.")
        if size + needed > limit_bytes:
            parts.append([])
            size = end
        parts[-1].append((path, name))
        size += needed
    written = []
    for number, members in enumerate(parts):
        written.append(out / f"part-{number:02d}.tar")
        with tarfile.open(written[-1], "w", format=tarfile.GNU_FORMAT) as tar:
            for path, name in members:
                tar.add(path, name, recursive=False)
    return written


def _named(folders: dict[str, Sequence[Path]]) -> Iterator[tuple[Path, str]]:
    for kind, roots in folders.items():
        for number, root in enumerate(roots):
            for path in audio_files(root):
                yield path, f"{kind}/{number}/{path.relative_to(root).as_posix()}"


_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


@click.command()
@click.option("--speech", multiple=True, type=_FOLDER, required=True)
@click.option("--noise", multiple=True, type=_FOLDER, required=True)
@click.option("--rooms", multiple=True, type=_FOLDER)
@click.option("--limit-mib", default=56, show_default=True, help="Largest part.")
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True)
def main(
    speech: tuple[Path, ...], noise: tuple[Path, ...], rooms: tuple[Path, ...], limit_mib: int, out: Path
) -> None:
    """Pack a corpus into tar files."""
    try:
        parts = pack({"speech": speech, "noise": noise, "rooms": rooms}, out, limit_mib * MEBIBYTE)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    for path in parts:
        click.echo(f"{path}: {path.stat().st_size / MEBIBYTE:.1f} MiB")


if __name__ == "__main__":
    main()

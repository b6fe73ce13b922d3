"""A sound file without its noise and, where a recording of one voice is given, without the other voices.

python examples/enhance_file.py noisy.wav clean.wav
python examples/enhance_file.py noisy.wav clean.wav me.wav
"""

import argparse
import sys

import soundfile

import edge_pse


def main(noisy: str, clean: str, voice: str | None = None) -> None:
    """``voice``: ten seconds of the voice to keep; without it, every voice is kept."""
    profile = None if voice is None else edge_pse.enroll(*soundfile.read(voice))
    written = edge_pse.enhance_file(noisy, clean, profile=profile)  # of any length, rate and format
    print(f"{clean}: {written.seconds:.1f} s at {written.sample_rate_hz} Hz")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("noisy")
    parser.add_argument("clean")
    parser.add_argument("voice", nargs="?")
    try:
        main(**vars(parser.parse_args()))
    except edge_pse.EdgePseError as error:
        sys.exit(f"{error}")

"""A recording without the echo of what the loudspeaker played meanwhile.

python examples/far_end.py microphone.wav loudspeaker.wav clean.wav
"""

import argparse
import sys

import soundfile

import edge_pse


def main(microphone: str, loudspeaker: str, clean: str) -> None:
    """Both recordings begin at the same moment and have the same rate and length."""
    model = edge_pse.Model.load(far_end=True)  # the variant of the default model that takes a far end
    heard, sample_rate_hz = soundfile.read(microphone)
    played, _ = soundfile.read(loudspeaker)
    enhanced = edge_pse.Enhancer(model).enhance(heard, sample_rate_hz, far_end=played)
    soundfile.write(clean, enhanced, sample_rate_hz)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("microphone")
    parser.add_argument("loudspeaker")
    parser.add_argument("clean")
    try:
        main(**vars(parser.parse_args()))
    except edge_pse.EdgePseError as error:
        sys.exit(f"{error}")

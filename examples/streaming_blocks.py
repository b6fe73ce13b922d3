"""A long file as a stream: blocks of any size go in, enhanced samples come out, and memory stays small.

python examples/streaming_blocks.py noisy.wav clean.wav
"""

import argparse
import sys

import soundfile

import edge_pse

BLOCK_SAMPLES = 1000  # any number


def main(noisy: str, clean: str) -> None:
    """The stream is mono, and ten milliseconds of it are whole samples: 8, 16, 44.1, 48, 96 kHz and so on."""
    rate_hz = soundfile.info(noisy).samplerate
    enhancer = edge_pse.Enhancer(rate_hz=rate_hz)
    late_samples = enhancer.delay_samples  # the output begins with so many samples of silence
    with soundfile.SoundFile(noisy) as source, soundfile.SoundFile(clean, "w", rate_hz, 1) as sink:
        if source.channels != 1:
            sys.exit(f"{noisy} is not mono: Enhancer.enhance takes any rate and any channels.")
        for block in source.blocks(BLOCK_SAMPLES, dtype="float32"):
            enhanced = enhancer.process(block)
            sink.write(enhanced[late_samples:])
            late_samples -= min(late_samples, enhanced.size)
        sink.write(enhancer.flush())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("noisy")
    parser.add_argument("clean")
    try:
        main(**vars(parser.parse_args()))
    except edge_pse.EdgePseError as error:
        sys.exit(f"{error}")

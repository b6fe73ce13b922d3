"""The microphone without noise and, with a profile, without other voices: live, until Ctrl-C.

python examples/live_microphone.py [--microphone MICROPHONE] [--output OUTPUT] [--profile PROFILE]
"""

import argparse
import contextlib
import sys

import edge_pse


def main(microphone: str | None = None, output: str | None = None, profile: str | None = None) -> None:
    """A device is named by a part of its name, "virtual" is the microphone that other programs see; see also
    ``edge-pse devices``. A profile is named as for ``edge-pse enroll``.
    """
    voice = None if profile is None else edge_pse.ProfileStore().load(profile)
    enhancer = edge_pse.Enhancer(profile=voice)
    with edge_pse.Live(enhancer, input=microphone, output=output, say=print) as live:
        while True:
            live.wait(1)
            status = live.status()  # None while a device that went away is waited for
            if status is not None:
                levels = f"{status.input_dbfs:.0f} dBFS in, {status.output_dbfs:.0f} dBFS out"
                print(f"{levels}, {status.latency_ms:.0f} ms late", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--microphone")
    parser.add_argument("--output")
    parser.add_argument("--profile")
    try:
        with contextlib.suppress(KeyboardInterrupt):
            main(**vars(parser.parse_args()))
    except edge_pse.EdgePseError as error:
        sys.exit(f"{error}")

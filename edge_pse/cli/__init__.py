"""The command ``edge-pse``: one file for each command, which parses, calls the library and prints.

Here is nothing but its beginning; ``edge_pse.cli.program`` has the rest.
"""

import sys


def main() -> None:
    """Run the command with the arguments of this process."""
    try:
        # Here, because Ctrl-C may come while it is loaded, too.
        from edge_pse.cli.program import run

        run()
    except KeyboardInterrupt:
        sys.exit(130)  # as shells call the end by this signal

"""A Wyoming service in front of a speech-to-text service: what is passed on is the enrolled voice alone.

Wyoming is the protocol by which Home Assistant speaks with services for voices: events, each a line of JSON, then data
and a payload. ``protocol``: events within limits, and one connection. ``sound``: audio of a command, from any format to
what recognisers take. ``command``: one command on its way to the service and the transcript back. ``client``: one
client. ``proxy``: who listens, and who may come in.

The package ``wyoming`` is imported here alone, and only by these modules; ``pip install '.[assistant]'``.
"""

from __future__ import annotations

from importlib.util import find_spec


def installed() -> bool:
    """Whether the package ``wyoming`` is here, which all modules of this package need."""
    return find_spec("wyoming") is not None

"""``edge-pse panel``: a page on this machine from which a person sees and does everything, without a terminal.

``server`` answers HTTP, and only who ``access`` lets in; no ``connection`` is waited for longer than a request takes.
``watch`` asks the stream how it goes and remembers the last minutes. ``stream`` starts and ends it, with the options
that ``options`` keeps in a file. ``commands`` runs other commands of edge-pse, which end with what they were asked.
``serving`` is the process. The page itself is in ``page``: as it is there it is sent, and it loads nothing from
elsewhere. ``parts`` is all that it can ask and tell: the stream, ``devices`` with levels, ``enrolling``, ``hearing``
and ``examination``, which is the doctor's.

``installation`` makes the panel a service.

The stream is another process: the panel knows it through ``edge_pse.control`` alone, and ends without it.
``pip install '.[panel]'`` brings Starlette and uvicorn, which only these modules import.
"""

from __future__ import annotations

from importlib.util import find_spec


def installed() -> bool:
    """Whether what serves the page is here."""
    return all(find_spec(name) is not None for name in ("starlette", "uvicorn"))

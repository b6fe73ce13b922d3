"""How other programs of its user see and change a stream that runs: ``edge-pse ctl`` and the panel.

``protocol``: what is said, where, and by whom. ``desk``: what a stream can be asked and told, for the terminal, too.
``server``: answers others. ``client``: asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_pse.control.client import Control
    from edge_pse.control.desk import Desk
    from edge_pse.control.server import ControlServer

__all__ = ["Control", "ControlServer", "Desk"]


def __getattr__(name: str) -> Any:
    """Loaded when it is first named: who only asks a stream has no use for what a stream is made of."""
    from importlib import import_module

    modules = {"Control": "client", "ControlServer": "server", "Desk": "desk"}
    if name not in modules:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{modules[name]}"), name)

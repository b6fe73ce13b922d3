"""How other programs of its user see and change a stream that runs: ``edge-pse ctl`` and the panel.

``protocol``: what is said, where, and by whom. ``desk``: what a stream can be asked and told, for the terminal, too.
``server``: answers others. ``client``: asks.
"""

from __future__ import annotations

from edge_pse.control.client import Control
from edge_pse.control.desk import Desk
from edge_pse.control.server import ControlServer

__all__ = ["Control", "ControlServer", "Desk"]

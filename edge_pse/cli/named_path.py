"""A file or a folder that a user names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from edge_pse.cli.pipes import PIPE


class NamedPath(click.Path):
    """Any path but an empty name, which a script has in a variable that is not set: it would be the current folder.

    Nor a name in the current folder where that has been removed, so that there is none.
    """

    def __init__(self, file_okay: bool = True, path_type: type[Any] = Path):
        super().__init__(file_okay=file_okay, path_type=path_type)

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        """See ``click.Path``."""
        name = os.fspath(value)
        if not name:
            self.fail("the name is empty.", param, ctx)
        if name != PIPE and not Path(name).is_absolute():
            try:
                Path.cwd()
            except OSError:
                self.fail("the current folder is gone: change to another one.", param, ctx)
        return super().convert(value, param, ctx)

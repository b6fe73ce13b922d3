"""A file or a folder that a user names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click


class NamedPath(click.Path):
    """Any path but an empty name, which a script has in a variable that is not set: it would be the current folder."""

    def __init__(self, file_okay: bool = True, path_type: type[Any] = Path):
        super().__init__(file_okay=file_okay, path_type=path_type)

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        """See ``click.Path``."""
        if not os.fspath(value):
            self.fail("the name is empty.", param, ctx)
        return super().convert(value, param, ctx)

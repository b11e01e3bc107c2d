"""Which options of a command a person gave: one that does nothing in what was asked for is refused, not ignored."""

from __future__ import annotations

from collections.abc import Collection

from typer import Context

from compare.spec import InputError


def only(context: Context, what: str, taken: Collection[str]) -> None:
    """Check that nothing was given but what is taken here.

    Args:
        context: of the command.
        what: what was asked for, as the first words of a sentence.
        taken: names of the command's parameters that it takes.

    Raises:
        InputError: an option was given that would do nothing.
    """
    for option in context.command.params:
        source = context.get_parameter_source(option.name or "")
        if option.name not in taken and source is not None and source.name == "COMMANDLINE":
            raise InputError(f"{option.opts[0]}: {what} doesn't take it; leave it out")

"""The command line: options are checked here, the work is done elsewhere, errors are one line."""

from __future__ import annotations

import errno
import os
import signal
import sys
import tempfile
from contextlib import suppress
from typing import Any

import typer

from compare.cli import diagnose as cli_diagnose
from compare.cli import pair as cli_pair
from compare.cli import parity as cli_parity
from compare.cli import policies as cli_policies
from compare.cli import port as cli_port
from compare.cli import report as cli_report
from compare.cli import run as cli_run
from compare.cli import semantics as cli_semantics
from compare.processes.errors import is_full_disk
from compare.spec import InputError

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
UsageError: Any = typer.BadParameter.__base__  # typer exports only this kind of usage error


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code; what a person got wrong is one line on stderr and 2.

    Args:
        arguments: without the program's name; None takes the process's.
    """
    # what ends a batch job or a container is heard as Ctrl-C is: nothing is lost, and how to go on is said
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(AttributeError):  # somebody has put another stream there
        # a name that this terminal can't show is printed all the same, as Python does on standard error
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        return app(arguments, prog_name="compare", standalone_mode=False) or 0
    except InputError as error:
        return _error(str(error))
    except UsageError as error:
        path = error.ctx.command_path if error.ctx else "compare"
        return _error(f"{error.format_message()} (see {path} --help)")
    except Exception as error:
        if isinstance(error, OSError) and error.filename:
            return _error(f"{error.strerror or error}: {error.filename}")
        if is_full_disk(error):
            return _error(
                f"{os.strerror(errno.ENOSPC)}; temporary files are in {tempfile.gettempdir()} (TMPDIR)"
            )
        if isinstance(error, OSError):
            return _error(str(error.strerror or error))
        raise
    except (KeyboardInterrupt, typer.Abort):
        return 130


def _error(message: str) -> int:
    print("error:", " ".join(message.split()), file=sys.stderr)
    return 2


@app.callback()
def root() -> None:
    """Train the same transfer model in Keras and PyTorch under every BN policy: fit against evaluate.

    \b
    Examples:
      compare run --backbone resnet50
      compare policies
      compare port model.keras model.pth
    """


app.command()(cli_run.run)
app.command()(cli_policies.policies)
app.command()(cli_diagnose.diagnose)
app.command()(cli_port.port)
app.command("map")(cli_pair.map_)
app.command()(cli_parity.parity)
app.command()(cli_semantics.semantics)
app.command()(cli_report.report)

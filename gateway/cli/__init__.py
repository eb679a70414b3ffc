"""The command line: one file per command. To add one, write it here beside the others and name it in COMMANDS."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from keyword import iskeyword
from typing import NoReturn

import click

from .. import __version__
from ..errors import ConfigError, GatewayError
from .output import complain, print_problems

COMMANDS = ("serve", "validate", "test", "try", "show", "schema", "reference", "reload", "replay", "sink", "doctor")

FINE, PROBLEMS, USED_WRONGLY, NOT_READY = range(4)
INTERRUPTED = 130  # 128 and the number of SIGINT, as shells have it


class Commands(Mapping[str, click.Command]):
    """The commands by name. Each is imported when it is asked for: `serve` needs none of the others."""

    def __getitem__(self, name: str) -> click.Command:
        if name not in COMMANDS:
            raise KeyError(name)
        plain = f"{name}_" if iskeyword(name) else name
        command: click.Command = getattr(import_module(f".{plain}", __name__), plain)
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class Gateway(click.Group):
    """Lists the commands in the order in which one meets them, not in that of the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=Gateway, commands=Commands(), context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="gateway")
def gateway() -> None:
    """
    A durable webhook gateway described in YAML.

    A file in providers.d says who may send and what their words mean; a file in sinks.d says which events a destination wants
    and how it wants them said.

    \b
      gateway serve --dev                      run it here, with an embedded store
      gateway validate providers.d sinks.d     are the files right? (no network, no environment)
      gateway test                             do they mean what you think? (the tests inside them)
      gateway try prometheus body.json         what becomes of this payload, stage by stage

    \b
    Exit codes: 0 fine, 1 problems found, 2 used wrongly, 3 environment not ready.
    """


def main() -> NoReturn:
    """The entry point: every expected error is one clear message and an exit code."""
    try:
        code = gateway.main(prog_name="gateway", standalone_mode=False)
    except ConfigError as error:
        print_problems(error.problems)
        sys.exit(PROBLEMS)
    except click.UsageError as error:
        error.show()
        sys.exit(USED_WRONGLY)
    except click.Abort:
        sys.exit(INTERRUPTED)
    except (click.ClickException, GatewayError) as error:
        complain(error.format_message() if isinstance(error, click.ClickException) else str(error))
        sys.exit(NOT_READY)
    except OSError as error:  # a file that cannot be read or written
        complain(f"{error.filename or 'the file'}: {error.strerror}")
        sys.exit(NOT_READY)
    sys.exit(code if isinstance(code, int) else FINE)

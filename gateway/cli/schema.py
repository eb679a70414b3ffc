"""`gateway schema`: the JSON Schemas, made from the structs that read the files."""

from __future__ import annotations

from pathlib import Path

import click

from ..config.public import SCHEMAS
from .output import print_json


@click.command(short_help="The JSON Schemas, for editors.")
@click.argument("name", required=False, type=click.Choice(list(SCHEMAS)))
@click.option("--write", type=click.Path(file_okay=False, path_type=Path), help="Write all of them into this directory.")
@click.option(
    "--check",
    "against",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Exit 1 if the files in this directory say something else.",
)
def schema(name: str | None, write: Path | None, against: Path | None) -> int:
    """
    Print the JSON Schema of a file (provider, sink, settings) or of the event that sinks receive.

    An editor that knows the schema completes keys and explains them:

    \b
      # yaml-language-server: $schema=../schemas/provider.schema.json
    """
    if against is not None:
        return _check(against)
    if write is not None:
        write.mkdir(parents=True, exist_ok=True)
        for each, text in _texts().items():
            (write / f"{each}.schema.json").write_text(text)
        return 0
    if name is None:
        raise click.UsageError(f"name one of {', '.join(SCHEMAS)}, or give --write or --check with a directory")
    print_json(SCHEMAS[name]())
    return 0


def _texts() -> dict[str, str]:
    import msgspec  # noqa: PLC0415 - only these two need it

    return {name: msgspec.json.format(msgspec.json.encode(make()), indent=2).decode() + "\n" for name, make in SCHEMAS.items()}


def _check(folder: Path) -> int:
    drifted = [
        name
        for name, text in _texts().items()
        if not (file := folder / f"{name}.schema.json").is_file() or file.read_text() != text
    ]
    for name in drifted:
        click.echo(f"{folder / name}.schema.json is not what the structs say; run: gateway schema --write {folder}", err=True)
    return 1 if drifted else 0

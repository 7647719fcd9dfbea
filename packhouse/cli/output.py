"""The output of commands: tables for people, JSON for programs."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click

from packhouse.cli.sentences import one_line
from packhouse.clock import format_timestamp

Record = Mapping[str, object]

_Command = TypeVar("_Command", bound=Callable[..., Any])


def json_option(command: _Command) -> _Command:
    """Add the option `--json` to a command, whose function gets it as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def print_json(value: object) -> None:
    """Print one JSON document on a line of its own."""
    click.echo(json.dumps(value, ensure_ascii=False))


def print_table(records: Sequence[Record], columns: Sequence[str], *, as_json: bool) -> None:
    """Print records: as a JSON array of objects, or as lines with aligned columns under a heading."""
    if as_json:
        print_json(list(records))
        return
    rows = [[_cell(record.get(column)) for column in columns] for record in records]
    heading = [column.replace("_", " ").upper() for column in columns]
    widths = [max(len(row[place]) for row in [heading, *rows]) for place in range(len(columns))]
    for row in [heading, *rows]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def print_record(record: Record, *, as_json: bool) -> None:
    """Print one record: as a JSON object, or as a line for each field."""
    if as_json:
        print_json(record)
        return
    width = max(len(name) for name in record)
    for name, value in record.items():
        click.echo(f"{name.replace('_', ' '):{width}}  {_cell(value)}")


def print_outcome(record: Record, sentence: str, *, as_json: bool) -> None:
    """Print the outcome of a change: the record as a JSON object, or the sentence."""
    if as_json:
        print_json(record)
    else:
        click.echo(sentence)


def time_text(time_s: int | None) -> str | None:
    """Return a time as JSON and people read it. None, a time that has not come, stays None."""
    return None if time_s is None else format_timestamp(time_s)


def _cell(value: object) -> str:
    text = " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return one_line(text) if value is not None and text else "-"

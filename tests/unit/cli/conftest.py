"""The program, run in this process on a data folder of a test's own."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from packhouse.cli.main import root
from packhouse.cli.settings import Invocation
from packhouse.errors import PackhouseError


class Program:
    """Runs commands like `packhouse.cli.main`, but writes no log and does not end the process."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.variables: dict[str, str] = {"PACKHOUSE_DATA": str(data)}

    def try_run(self, *args: str, stdin: str = "", variables: Mapping[str, str] | None = None) -> Result:
        """Run a command and return its exit code, output and error."""
        invocation = Invocation(self.variables if variables is None else variables)
        return CliRunner().invoke(root, list(args), input=stdin, obj=invocation, prog_name="packhouse")

    def run(self, *args: str, stdin: str = "") -> str:
        """Run a command that succeeds and return its output."""
        result = self.try_run(*args, stdin=stdin)
        assert result.exit_code == 0, (result.output, result.exception)
        return result.stdout.rstrip("\n")

    def json(self, *args: str) -> Any:
        """Run a command that succeeds with `--json` and return its output."""
        return json.loads(self.run(*args, "--json"))

    def failure(self, *args: str) -> PackhouseError:
        """Run a command that fails with one of our errors, and return the error."""
        result = self.try_run(*args)
        assert isinstance(result.exception, PackhouseError), (result.output, result.exception)
        return result.exception

    def usage(self, *args: str) -> str:
        """Run a wrongly called command and return its message."""
        result = self.try_run(*args)
        assert result.exit_code == 2, result.output[:1000]
        return result.stderr


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """The program; its data folder does not exist yet."""
    return Program(tmp_path / "data")

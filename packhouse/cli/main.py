"""The program `packhouse`: finds the command, and reports a failure by one line and an exit code.

Exit codes: 0 success, 1 failure, 2 wrong call of the command, 130 interrupted.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Final

import click

from packhouse import __version__
from packhouse.cli.command import LazyGroup
from packhouse.cli.sentences import describe, one_line
from packhouse.cli.settings import Invocation
from packhouse.errors import PackhouseError
from packhouse.log import configure_logging

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_INTERRUPTED: Final = 130


COMMANDS: Final = (
    "serve",
    "demo",
    "org",
    "key",
    "signing-key",
    "token",
    "repo",
    "ref",
    "journal",
    "worker",
    "jobs",
    "webhook",
    "secrets",
    "version",
)


@click.group(
    cls=LazyGroup,
    modules={name: f"packhouse.cli.{name.replace('-', '_')}" for name in COMMANDS},
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, message="packhouse %(version)s")
def root() -> None:
    """Git storage that programs drive.

    Settings are options of the commands or PACKHOUSE_… variables; `packhouse serve --help` lists them.
    """


def main() -> None:
    """Run the program with this process's arguments and environment, then end the process."""
    sys.exit(run(sys.argv[1:], os.environ))


def run(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run one command and return its exit code. Every failure puts one line on standard error."""
    # A failure is reported in one line, so nothing is logged. `serve`, `demo` and `worker` turn the log on.
    configure_logging("critical")
    try:
        code = root.main(
            list(arguments), prog_name="packhouse", obj=Invocation(environ), standalone_mode=False
        )
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as wrong:
        wrong.show()
        return EXIT_USAGE
    except click.UsageError as wrong:
        program = wrong.ctx.command_path if wrong.ctx else "packhouse"
        return _fail(f"{wrong.format_message()} (see {program} --help)", EXIT_USAGE)
    except click.ClickException as fault:
        return _fail(fault.format_message(), EXIT_FAILED)
    except (click.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except PackhouseError as fault:
        return _fail(describe(fault), EXIT_FAILED)
    except BrokenPipeError:
        # The reader of our output has closed it. Python must not try to write the rest when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except OSError as fault:
        where = f": {fault.filename}" if fault.filename else ""
        return _fail(f"{fault.strerror or fault}{where}", EXIT_FAILED)
    return code if isinstance(code, int) else 0


def _fail(sentence: str, code: int) -> int:
    click.echo(f"packhouse: {one_line(sentence)}", err=True)
    return code

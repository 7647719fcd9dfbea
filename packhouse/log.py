"""Structured logs: one JSON object a line on standard error, never a secret.

Call `log_event("push refused", repo_id=…)`. The message is constant; values are fields. Libraries write only warnings
and errors, whatever our own level is, because their finer lines name addresses and headers.
"""

import json
import logging
import sys
import time
from contextvars import ContextVar
from typing import Final

from packhouse.log_writer import LineWriter

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request that the running code serves. Each line written meanwhile has it."""

_NAME: Final = "packhouse"
_logger: Final = logging.getLogger(_NAME)
_writer: Final = LineWriter()


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": format_time(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if served := request_id.get():
            entry["request_id"] = served
        entry.update(getattr(record, "fields", {}))
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


class _StandardError(logging.Handler):
    """Writes to standard error without waiting for its reader."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            _writer.write(self.format(record).encode() + b"\n")
        except Exception:  # noqa: BLE001  # as in every handler: a line that cannot be written fails no request
            self.handleError(record)

    def flush(self) -> None:
        _writer.flush()


def _is_wanted(record: logging.LogRecord) -> bool:
    return record.name == _NAME or record.levelno >= logging.WARNING


def configure_logging(level: str = "info") -> None:
    """Write everything from `level` up to standard error, as JSON lines."""
    _writer.open(sys.stderr)
    handler = _StandardError()
    handler.setFormatter(_JsonLines())
    handler.setLevel(level.upper())  # libraries may set a lower level on loggers of their own
    handler.addFilter(_is_wanted)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


def log_event(
    message: str, /, *, level: int = logging.INFO, exc_info: bool = False, **fields: object
) -> None:
    """Write one line. `fields` must not contain tokens, credentials or request bodies."""
    _logger.log(level, message, extra={"fields": fields}, exc_info=exc_info)


def is_logged(level: int) -> bool:
    """Tell whether lines of this level are written."""
    return _logger.isEnabledFor(level)


def collect_line(line: bytes) -> bool:
    """Keep a finished line until `write_collected_lines` is called or another line is written.

    The line is a JSON object with the members that every line has. Returns whether it is the first collected line; then
    the caller must arrange that call. Use it for lines so frequent that a log record and a write for each would be
    slow.
    """
    return _writer.collect(line + b"\n")


def write_collected_lines() -> None:
    """Write the lines that were collected."""
    _writer.write_collected()


_second: tuple[int, str] = (-1, "")


def format_time(at: float) -> str:
    """Return the local time with its offset, to the second."""
    global _second  # noqa: PLW0603  # the last answer: most lines of a busy second need the same one
    second = int(at)
    known, text = _second
    if known != second:
        text = time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(second))
        _second = (second, text)
    return text

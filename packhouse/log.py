"""Structured logs: one JSON object a line on standard error, never a secret.

Call `log_event("push refused", repo_id=…)`: the message is constant, values are fields.
"""

import json
import logging
import sys

_logger = logging.getLogger("packhouse")


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry.update(getattr(record, "fields", {}))
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


def configure_logging(level: str = "info") -> None:
    """Send everything from `level` up to standard error as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    handler.setLevel(level.upper())  # libraries may set a lower level on loggers of their own
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


def log_event(
    message: str, /, *, level: int = logging.INFO, exc_info: bool = False, **fields: object
) -> None:
    """Write one line; `fields` must not hold tokens, credentials or request bodies."""
    _logger.log(level, message, extra={"fields": fields}, exc_info=exc_info)

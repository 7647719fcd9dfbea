"""Lines of the log that are about one repository."""

import logging
from typing import Any

from packhouse.db.repos import Repo
from packhouse.log import log_event


def log_repo_event(repo: Repo, message: str, /, *, level: int = logging.INFO, **fields: Any) -> None:
    """Write one line that names the repository as people and as the folders do: `repo` and `repo_id`."""
    log_event(message, level=level, repo=f"{repo.org_name}/{repo.name}", repo_id=repo.public_id, **fields)

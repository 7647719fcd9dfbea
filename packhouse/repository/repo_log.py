"""Log lines about one repository."""

import logging
from typing import Any

from packhouse.db import Repo
from packhouse.log import log_event


def log_repo_event(repo: Repo, message: str, /, *, level: int = logging.INFO, **fields: Any) -> None:
    """Write one line that names the repository by its name (`repo`) and by the name of its folder (`repo_id`)."""
    log_event(message, level=level, repo=f"{repo.org_name}/{repo.name}", repo_id=repo.public_id, **fields)

"""Every call that reads a repository of two branches, `main` and `side`, whose file `a.txt` holds the word `line`."""

from collections.abc import Callable

import httpx

from tests.support.clients.repo import Repo

OBJECT_READS: dict[str, Callable[[Repo], httpx.Response]] = {
    "file": lambda repo: repo.api("GET", "/file", params={"path": "a.txt"}),
    "head of file": lambda repo: repo.api("HEAD", "/file", params={"path": "a.txt"}),
    "files": lambda repo: repo.api("GET", "/files"),
    "metadata": lambda repo: repo.api("GET", "/files/metadata"),
    "commits": lambda repo: repo.api("GET", "/commits"),
    "commits of a path": lambda repo: repo.api("GET", "/commits", params={"path": "a.txt"}),
    "commit": lambda repo: repo.api("GET", "/commit", params={"ref": "main"}),
    "commit before": lambda repo: repo.api("GET", "/commit", params={"ref": "main~1"}),
    "diff": lambda repo: repo.api("GET", "/diff", params={"ref": "main"}),
    "branch diff": lambda repo: repo.api("GET", "/branches/diff", params={"branch": "main", "base": "side"}),
    "blame": lambda repo: repo.api("GET", "/blame", params={"path": "a.txt"}),
    "grep": lambda repo: repo.api("POST", "/grep", json={"query": {"pattern": "line"}}),
    "grep in chosen files": lambda repo: repo.api(
        "POST", "/grep", json={"query": {"pattern": "line"}, "file_filters": {"include_globs": ["*.txt"]}}
    ),
    "archive": lambda repo: repo.api("POST", "/archive", json={}),
    "merge preview": lambda repo: repo.api(
        "GET", "/merge/preview", params={"source_branch": "side", "target_branch": "main"}
    ),
}
"""Calls that read objects."""

REF_READS: dict[str, Callable[[Repo], httpx.Response]] = {
    "branches": lambda repo: repo.api("GET", "/branches"),
    "tags": lambda repo: repo.api("GET", "/tags"),
    "ref log": lambda repo: repo.api("GET", "/ref-log"),
}
"""Calls that read refs, which are in SQL."""

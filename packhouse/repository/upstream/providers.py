"""The services that host upstreams."""

from collections.abc import Mapping
from typing import Final

GITHUB: Final = "github"
DEFAULT_HOSTS: Final[Mapping[str, str]] = {
    "github": "github.com",
    "gitlab": "gitlab.com",
    "bitbucket": "bitbucket.org",
    "codeberg": "codeberg.org",
    "sr.ht": "git.sr.ht",
    "sourcehut": "git.sr.ht",
    "gitea": "",
    "forgejo": "",
}
"""The providers with their usual hosts; "" for a provider without a usual host."""

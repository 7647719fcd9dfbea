"""The caller of a request, known once the request is authorised."""

from dataclasses import dataclass

from packhouse.auth import Principal


@dataclass(frozen=True, slots=True)
class Caller:
    """The principal that calls, and the repository that it calls for ("" for calls without a repository)."""

    principal: Principal
    repo: str

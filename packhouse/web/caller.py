"""Who makes a request, once that is known."""

from dataclasses import dataclass

from packhouse.auth import Principal


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and for which repository ("" when the call concerns none)."""

    principal: Principal
    repo: str

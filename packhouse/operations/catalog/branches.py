"""A branch that a request names."""

from packhouse.errors import NotFound
from packhouse.git.refname import RefName, short_name


class BranchNotFound(NotFound):
    """Field: branch."""

    def __init__(self, refname: RefName) -> None:
        super().__init__("branch does not exist", branch=short_name(refname))

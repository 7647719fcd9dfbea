"""git ls-tree: every file of a tree with its size."""

import re
from typing import Final

from packhouse.git import Oid
from packhouse.git.commands.run import Runner, run_git
from packhouse.git.objects import TreeNamesMissingObject

_LISTED: Final = re.compile(rb"([0-7]{6}) [a-z]+ [0-9a-f]{40} +([0-9]+|-)\t([^\0]+)\0")
_BAD_SIZE: Final = b" BAD\t"  # what ls-tree prints instead of the size of a missing object
_MISSING: Final = re.compile(rb"(?:\A|\0)[0-7]{6} [a-z]+ ([0-9a-f]{40}) +BAD\t")


def list_sized_files(runner: Runner, tree: Oid, *, output_max_bytes: int) -> list[tuple[bytes, bytes, bytes]]:
    """Return (mode, size, path) of all files and submodules below `tree`, in git's order.

    The values are as git prints them: the mode in six octal digits, the size of a submodule as `-`. Raises
    LimitExceeded for more than `output_max_bytes`, and TreeNamesMissingObject. Source: git-ls-tree(1), "-l".
    """
    output = run_git(
        runner.place(),
        *("ls-tree", "-r", "-l", "-z", "--full-tree", tree),
        output_max_bytes=output_max_bytes,
    ).stdout
    if _BAD_SIZE in output and (missing := _MISSING.search(output)):
        raise TreeNamesMissingObject(Oid(missing[1].decode("ascii")))
    return _LISTED.findall(output)

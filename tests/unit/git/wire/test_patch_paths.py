"""What git apply could look for is a part of what find_patch_paths() names."""

import pytest

from packhouse import limits
from packhouse.errors import LimitExceeded
from packhouse.git.wire.patch_paths import find_patch_paths

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    ("line", "path"),
    [
        (b"--- a/dir/x\n", b"dir/x"),
        (b"+++ b/dir/x\r\n", b"dir/x"),
        (b"--- a/dir/x\t2026-01-01 00:00:00 +0000\n", b"dir/x"),
        (b"--- a/dir/x 2026-01-01 00:00:00.000000000 +0000\n", b"dir/x"),
        (b"--- a/dir/x 26-01-01 00:00:00\n", b"dir/x"),
        (b"--- a//dir///x\n", b"dir/x"),
        (b'+++ "b/\\303\\251\\t\\"x"\n', 'é\t"x'.encode()),
        (b"rename from dir/x y\n", b"dir/x y"),
        (b"copy to x\n", b"x"),
        (b"diff --git a/x y b/x y\n", b"x y"),
        (b'diff --git "a/x\\n" b/x\n', b"x\n"),
        (b'diff --git a/x "b/x\\n"\n', b"x"),
    ],
)
def test_the_path_that_git_reads_is_named(line: bytes, path: bytes) -> None:
    assert path in find_patch_paths([line])


def test_a_patch_of_header_lines_only_is_refused_before_it_fills_the_memory() -> None:
    lines = (b"+++ b/%d\n" % number for number in range(limits.patch_paths_max))
    with pytest.raises(LimitExceeded):
        find_patch_paths(lines)

"""What makes a folder a repository in git's eyes is made anew wherever it is not whole."""

from pathlib import Path

import pytest

from packhouse.storage.bare_repo import BARE_CONFIG, make_bare
from tests.support.clients.git import Git


@pytest.mark.parametrize("torn", ["HEAD", "config"])
def test_a_file_that_a_power_cut_left_empty_is_written_anew(tmp_path: Path, torn: str) -> None:
    folder = tmp_path / "bare"
    make_bare(folder)
    (folder / torn).write_bytes(b"")
    make_bare(folder)
    assert (folder / "config").read_bytes() == BARE_CONFIG
    assert Git(tmp_path).run("rev-parse", "--is-bare-repository", cwd=folder) == "true"


def test_a_head_that_names_another_branch_is_kept(tmp_path: Path) -> None:
    make_bare(tmp_path)
    (tmp_path / "HEAD").write_bytes(b"ref: refs/heads/trunk\n")
    make_bare(tmp_path)
    assert (tmp_path / "HEAD").read_bytes() == b"ref: refs/heads/trunk\n"

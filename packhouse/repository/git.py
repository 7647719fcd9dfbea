"""Running git on an opened repository, with its objects, its locks and the bounds of every call."""

from packhouse.git.commands import (
    blame,
    cat_file,
    diff_tree,
    for_each_ref,
    grep,
    index_pack,
    ls_tree,
    merge_base,
    merge_tree,
    pack_objects,
    rev_list,
    rev_parse,
)
from packhouse.git.commands.environment import GitPlace
from packhouse.git.commands.run import GitFailed, Runner
from packhouse.git.commands.transport import fetch, ls_remote


class RepoGit:
    """The git commands of an opened repository. Each command sees the repository as it is at its start or later.

    A command raises what git's failure is; `open_view` replaces failures that damage explains. Each attribute is a
    function of the command's module and takes this object as its first argument.
    """

    def __init__(self, opened: Runner) -> None:
        self._opened = opened

    def place(self) -> GitPlace:
        """See Runner."""
        return self._opened.place()

    def check(self, complaint: GitFailed, *, may_lack: bool = False) -> None:
        """See Runner."""
        self._opened.check(complaint, may_lack=may_lack)

    blame_lines = blame.blame_lines

    blobs = cat_file.open_blobs
    iter_blob = cat_file.iter_blob

    diff_trees = diff_tree.diff_trees
    read_first_parent_changes = diff_tree.read_first_parent_changes

    fetch_refs = fetch.fetch_refs

    list_refs = for_each_ref.list_refs

    grep_tree = grep.grep_tree

    index_stream = index_pack.index_stream
    judge_pack = index_pack.judge_pack
    start_unpacking = index_pack.start_unpacking

    list_remote_refs = ls_remote.list_remote_refs

    list_sized_files = ls_tree.list_sized_files

    is_ancestor = merge_base.is_ancestor
    merge_base = merge_base.find_merge_base

    merge_commits = merge_tree.merge_commits

    iter_pack = pack_objects.iter_pack
    join_packs = pack_objects.join_packs
    write_pack = pack_objects.write_pack

    count_commits = rev_list.count_commits
    find_first_ancestor = rev_list.find_first_ancestor
    is_connected = rev_list.is_connected
    iter_ancestors_first = rev_list.iter_ancestors_first
    iter_commits = rev_list.iter_commits
    iter_objects = rev_list.iter_objects
    lacks_objects = rev_list.lacks_objects
    list_commits = rev_list.list_commits
    list_existing_commits = rev_list.list_existing_commits
    list_history = rev_list.list_history
    list_page = rev_list.list_page

    list_abbreviated = rev_parse.list_abbreviated

"""What an operation is given: the node with its stores, caches, clock and ids."""

from packhouse.node.caches import REACHABLE_COMMITS_MAX, STRETCH_COMMITS, Reachable, Stretch
from packhouse.node.file_map import (
    FileMap,
    FileRecord,
    StoredMap,
    decode_stored,
    edit_map,
    encode_edits,
    make_map,
    make_record,
)
from packhouse.node.installation import NoData, report_unknown_folders
from packhouse.node.key_file import read_or_make_key
from packhouse.node.last_commit_cache import HistoryBeingRead, LastCommit
from packhouse.node.node import Node, open_existing_node, open_node
from packhouse.node.repo_name import check_repo_name
from packhouse.node.stopping import ShouldStop, never
from packhouse.node.token_file import ALL_REPOS, digest_token

__all__ = [
    "ALL_REPOS",
    "REACHABLE_COMMITS_MAX",
    "STRETCH_COMMITS",
    "FileMap",
    "FileRecord",
    "HistoryBeingRead",
    "LastCommit",
    "NoData",
    "Node",
    "Reachable",
    "ShouldStop",
    "StoredMap",
    "Stretch",
    "check_repo_name",
    "decode_stored",
    "digest_token",
    "edit_map",
    "encode_edits",
    "make_map",
    "make_record",
    "never",
    "open_existing_node",
    "open_node",
    "read_or_make_key",
    "report_unknown_folders",
]

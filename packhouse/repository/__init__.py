"""One repository: views to read it, writes that change it, and the upkeep of its packs."""

from packhouse.repository.apply_patch import PatchedFile, apply_patch
from packhouse.repository.checks import ObjectKind, find_unconnected, moves_forward, read_kinds
from packhouse.repository.damage import Reason, RepositoryDamaged, RepositoryMended, find_reason
from packhouse.repository.history.attribution import History
from packhouse.repository.history.file_maps import find_file_map, read_file_map
from packhouse.repository.history.last_commit import PathNotFound, read_last_commit
from packhouse.repository.merge_trees import MergeSide, merge_trees, source_label
from packhouse.repository.packs import adopt_unlisted
from packhouse.repository.reachability import is_reachable
from packhouse.repository.refs.events import (
    EVENT_KINDS,
    SYNC_FAILED,
    SYNC_STARTED,
    SYNC_SUCCEEDED,
    SyncRun,
    record_sync,
)
from packhouse.repository.refs.files import follow_head, head_target, spawn_upload_pack
from packhouse.repository.refs.receipts import Answer, Receipt, Ticket, bind, expired_before, keep_in_session
from packhouse.repository.refs.resolve import (
    RefNamesNoCommit,
    RefNotFound,
    ResolvedRef,
    check_ref_input,
    resolve_object,
    resolve_ref,
)
from packhouse.repository.refs.writer import AllowedUpdate, RefWriter
from packhouse.repository.repo_log import log_repo_event
from packhouse.repository.server_identity import server_person
from packhouse.repository.tree_maker import TreeMaker
from packhouse.repository.upkeep.damage_report import (
    count_damaged,
    find_lost_packs,
    read_damage,
    recheck_damage,
)
from packhouse.repository.upkeep.fault_tracing import trace_faults
from packhouse.repository.upkeep.fork_objects import copy_objects, is_reached, list_reached
from packhouse.repository.upkeep.maintain import flush_repo, maintain
from packhouse.repository.upkeep.push_repack import JudgedAgain, Kept, keep_only
from packhouse.repository.upkeep.relieve import relieve_journal
from packhouse.repository.upkeep.sweep import adopt_all, sweep
from packhouse.repository.upstream.access import UpstreamAway, check_upstream_address, open_access
from packhouse.repository.upstream.fetch import FetchWatch, fetch_upstream, mirrored_only
from packhouse.repository.upstream.forward import UpstreamRejected
from packhouse.repository.upstream.mirror import list_unfit, names_for, plan_mirror
from packhouse.repository.upstream.providers import DEFAULT_HOSTS, GITHUB, host_fault, name_fault, owner_fault
from packhouse.repository.upstream.queue import SYNC_JOB, queue_sync
from packhouse.repository.view import RepoView, open_view
from packhouse.repository.write import Write

__all__ = [
    "DEFAULT_HOSTS",
    "EVENT_KINDS",
    "GITHUB",
    "SYNC_FAILED",
    "SYNC_JOB",
    "SYNC_STARTED",
    "SYNC_SUCCEEDED",
    "AllowedUpdate",
    "Answer",
    "FetchWatch",
    "History",
    "JudgedAgain",
    "Kept",
    "MergeSide",
    "ObjectKind",
    "PatchedFile",
    "PathNotFound",
    "Reason",
    "Receipt",
    "RefNamesNoCommit",
    "RefNotFound",
    "RefWriter",
    "RepoView",
    "RepositoryDamaged",
    "RepositoryMended",
    "ResolvedRef",
    "SyncRun",
    "Ticket",
    "TreeMaker",
    "UpstreamAway",
    "UpstreamRejected",
    "Write",
    "adopt_all",
    "adopt_unlisted",
    "apply_patch",
    "bind",
    "check_ref_input",
    "check_upstream_address",
    "copy_objects",
    "count_damaged",
    "expired_before",
    "fetch_upstream",
    "find_file_map",
    "find_lost_packs",
    "find_reason",
    "find_unconnected",
    "flush_repo",
    "follow_head",
    "head_target",
    "host_fault",
    "is_reachable",
    "is_reached",
    "keep_in_session",
    "keep_only",
    "list_reached",
    "list_unfit",
    "log_repo_event",
    "maintain",
    "merge_trees",
    "mirrored_only",
    "moves_forward",
    "name_fault",
    "names_for",
    "open_access",
    "open_view",
    "owner_fault",
    "plan_mirror",
    "queue_sync",
    "read_damage",
    "read_file_map",
    "read_kinds",
    "read_last_commit",
    "recheck_damage",
    "record_sync",
    "relieve_journal",
    "resolve_object",
    "resolve_ref",
    "server_person",
    "source_label",
    "spawn_upload_pack",
    "sweep",
    "trace_faults",
]

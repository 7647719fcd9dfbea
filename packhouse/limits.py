"""Every bound of the server, with its unit, in one place.

A loop, queue, body, page or subprocess without a bound from here is a bug. Bounds that an operator may change are
settings in `config.py`. The bounds here belong to the contract or protect the process.
"""

from dataclasses import dataclass
from typing import Final

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds that a node may change: how much it keeps in memory, how long it works and waits.

    An operation reads them from `node.limits`. Code below the node gets the ones that it needs.
    """

    # Log
    log_waiting_max_bytes: int = 4 * MIB  # lines that wait for standard error; further lines are lost

    # Tokens and keys
    verified_tokens_max_bytes: int = 6 * MIB  # memory for verified tokens of one server process
    active_keys_max: int = 100  # of one organisation; a token without kid may be tried with each
    cached_issuers_max: int = 10_000

    # Pages
    commits_page_max_bytes: int = 32 * MIB  # of stored commits; a page ends with the commit that exceeds it
    commits_listing_max_bytes: int = 256 * MIB  # of commits in a listing without pages

    # Git over HTTP
    large_git_requests_max: int = 3
    git_slot_park_after_s: float = 2.0  # then the slot of a transfer that waits for its client is parked
    git_slot_cut_after_s: float = (
        20.0  # then a client that keeps others of its organisation waiting is cut off
    )
    git_slot_look_s: float = 2.0  # between two checks whether others wait
    git_slots_parked_max: int = 128  # of reads; pushes have as many
    git_queue_max_s: float = 30  # the longest wait of a request for a slot
    git_queue_max: int = 1024  # requests of one limiter that wait for a slot
    git_retry_after_s: int = 5

    # Upstreams
    upstream_refs_max: int = 200_000  # mirrored refs of one upstream

    # Git processes
    tree_listing_max_bytes: int = 128 * MIB  # output of one `git ls-tree`: more than a million files
    tree_entries_max: int = 1_000_000  # files and folders in one walk over a tree

    # Packs
    packs_before_consolidation: int = 40
    journal_pack_max_bytes: int = 256 * KIB  # a larger pack is stored
    journal_pack_inflated_max_bytes: int = 16 * MIB  # of all its objects; a pack that holds more is stored
    journal_rows_before_flush: int = 64  # of one repository
    journal_bytes_before_flush: int = 4 * MIB
    journal_cache_max_bytes: int = 64 * MIB  # packs of the journal that one process keeps in memory
    journal_folders_max_bytes: int = 64 * MIB  # of packs of the journal that one process shows to git
    maintenance_lease_s: int = 60
    view_folders_max: int = 256  # repositories whose packs one process keeps open
    pack_names_max: int = 5000  # repositories with a recent write that a process remembers
    listed_packs_max: int = 50_000  # packs in all lists that one process keeps
    incoming_grace_s: int = 3600  # then a stored pack that no write has listed is deleted
    pack_keep_s: int = 0  # how long a replaced pack is kept; its readers have links of their own
    object_cache_max_bytes: int = 8 * MIB
    tree_table_entries_max: int = 100_000  # entries of all trees that one process keeps as tables
    file_map_rows_max: int = 400_000  # rows of all file maps that one process keeps in memory
    file_map_wait_max_s: float = 20  # how long a request waits while another reads the history that it needs
    commit_summaries_max_bytes: int = 8 * MIB
    commit_summary_max_bytes: int = 4 * KIB  # text of one kept summary
    history_stretches_max: int = 500  # stretches of 500 ids, kept for the next page of a history
    reachable_commits_max: int = 1_000_000  # in the kept sets of all repositories together
    last_commits_max: int = 20_000  # kept answers about the last commit of one path

    # Database
    database_wait_max_s: int = 10  # for a connection, or for a lock that another program holds
    deletion_batch: int = 100  # repositories that one transaction deletes
    group_commit_blocks_max: int = 32  # of one COMMIT on SQLite: each pays a 32nd of the wait for the disk
    group_commit_age_max_s: float = 0.005  # of a group: other processes wait so much longer
    database_log_reset_bytes: int = 32 * MIB  # SQLite: a larger log is reset, and writers wait for readers
    database_log_slow_bytes: int = 64 * MIB  # with a larger one that a reader keeps, writers are slowed down
    database_log_max_bytes: int = 120 * MIB  # that log never gets so large, but for one group of writers
    database_log_wait_max_s: float = 2.0  # of a slowed writer, which keeps a thread; else it is refused
    vacuum_free_pages_min: int = 4096  # SQLite: a file with fewer unused pages is left as it is
    vacuum_pages: int = 256  # given back in one transaction: some milliseconds

    # Diffs
    diff_raw_total_max_bytes: int = (
        64 * MIB
    )  # patches in one answer; further files are listed without a patch
    diff_memory_max_bytes: int = 3 * GIB // 2  # address space of one git diff

    # Patches
    patch_max_bytes: int = 256 * MIB  # of one commit from a patch

    # Grep
    grep_file_max_bytes: int = 64 * MIB  # larger files are skipped if searching them takes too much memory
    grep_max_s: float = 25  # clients wait a minute; half may pass until a search has a slot
    grep_whole_max_s: float = 10  # of this, for all files at once; then file by file
    grep_file_max_s: float = 5  # for one file then; a slower file is skipped
    regex_memory_max_bytes: int = (
        2 * GIB
    )  # address space of a git that compiles a caller's regular expression

    # Merges
    merge_memory_max_bytes: int = 2 * GIB  # address space of one git merge
    merge_conflict_files_max: int = 50  # files whose contents a preview shows

    # Signatures
    signature_verdicts_max: int = 50_000  # verdicts kept by one process

    # Events and webhooks
    prune_batch: int = 1000
    event_news_repos_max: int = 200  # repositories whose new events are read together

    # Runtime files
    ref_folders_max: int = 2000  # repositories whose refs are kept as files for git
    ref_folders_max_bytes: int = 256 * MIB  # size of their packed-refs together


DEFAULT_LIMITS: Final = Limits()
"""The limits of a server."""

# The bounds below are the same in every node: clients see them, a format or git sets them, or nobody ever needed
# another value. A bound that differs between nodes, also for a test only, belongs in Limits. Nobody patches a module.

# Requests
json_body_max_bytes = 16 * MIB
json_values_max = 200_000  # in one member of a JSON body
request_target_max_bytes = 128 * KIB  # download clients may send a path of 100,000 characters
request_path_max_bytes = 65_535  # before the query; the parser of targets accepts no more
request_headers_max_bytes = 128 * KIB  # download clients may send a token of 100,000 characters
request_headers_max = 500
keep_alive_s = 75  # how long a connection may be idle between requests
pipelined_requests_max = 32  # waiting on one connection while another is answered
connections_max = 16_384  # of one server process; fewer where the system allows too few open files
query_fields_max = 200
waiting_calls_max = 1024  # calls that wait for a worker thread; one more is answered 503
background_stop_max_s = 5.0
worker_restarts_max = 5  # crashes of processes in a minute; then the server gives up
body_stall_max_s = 60  # after so long without bytes, a client counts as gone
refused_body_drain_max_bytes = 64 * MIB
refused_body_linger_max_s = 3.0  # for clients that still send when they are answered
token_max_bytes = 16 * KIB
request_id_max_chars = 128  # of a client's `X-Request-Id`; a longer one counts as absent

# Log
log_value_max_chars = 256  # of a text from outside in a request's line, so that the line stays below a page
log_collect_s = 0.05  # how long lines of requests are collected and then written together
log_collected_max_bytes = 32 * KIB
log_flush_max_s = 2.0

# Tokens and keys
key_file_max_bytes = 64 * KIB
org_name_max_chars = 255
subject_max_chars = 255  # of a token's `sub`, which is only logged
static_tokens_max_bytes = 16 * MIB  # of the file of fixed tokens
static_token_faults_logged_max = (
    100  # unreadable lines logged one by one; further ones are counted in one line
)
keys_version_max_age_s = 2.0  # the longest time until a server notices an added or revoked key

# Commit streams (NDJSON)
chunk_decoded_max_bytes = 4 * MIB
chunk_line_max_bytes = 7 * MIB  # one chunk in base64, also with \u000d\u000a after every 76 characters
metadata_line_max_bytes = 64 * MIB
metadata_values_max = 2_000_000  # in one member of it; each of 200,000 files has four or five
blob_in_memory_max_bytes = 8 * MIB  # larger blobs wait in a temporary file
commit_files_max = 200_000
commit_folders_max = 500_000  # changed by one commit; paths may be two thousand folders deep
merge_related_paths_max = 1000  # paths checked for the real name of one conflict
merge_told_paths_max = 1000  # paths of conflicts that git names only in messages
merge_folders_kept = 64  # of each side, while conflicts are named
patch_recounts_max = 10_000  # corrected hunk headers of one patch
patch_paths_max = 500_000  # paths that a patch may name: about five for each file
guard_wait_max_s = 30  # how long a writer without guard waits for other writers of the branch

# Names and paths
repo_name_max_bytes = 255
tree_path_max_bytes = 4096
walked_path_max_bytes = 16 * KIB  # of a folder in a pushed tree; other paths there may be longer
refname_max_bytes = 1024

# Pages
page_default = 20
page_max = 100
files_page_default = 1000
files_page_max = 5000
metadata_page_default = 200
metadata_page_max = 1000
note_max_bytes = 16 * MIB  # of one note that the API reads

# Git over HTTP
fetch_request_max_bytes = 32 * MIB  # wants and haves, after gunzip
push_commands_max_bytes = 16 * MIB
push_commands_max = 50_000
push_options_max_bytes = 64 * KIB
pkt_line_max_bytes = 65520
ref_prefixes_max = 65_536  # of one ls-refs; with more, every ref is shown, as in git
git_request_small_bytes = MIB  # few fetches or pushes whose request is larger run at once
push_start_bytes = 64 * KIB  # of a pack that must be here before the push takes a slot
git_messages_max_bytes = 64 * KIB  # of one process's standard error, kept for the client
git_keepalive_s = 5  # a waiting client gets a byte at least so often
connectivity_check_max_s = 3600
push_faults_max = 10_000  # faulty objects of one push; with more, none of its refs moves
push_tracing_max_s = 600  # finding the refs that reach a faulty object
push_repack_max_s = 3600  # packing the kept objects of a push anew
push_told_refs_max = 20  # refs that the messages of one push name
tag_chain_max = 32  # tags of tags; git itself has no limit

# Forks and snapshots
fork_objects_in_memory_max = 1_000_000  # ids of one fork; beyond, packs are written anew instead of linked
fork_max_s = 300  # of one git process; clients wait for half a minute

# Upstreams
sync_max_s = 3600  # one run
sync_attempts_max = 2  # attempts that reach the upstream; a permanent failure ends at once
sync_retry_first_s = 3
sync_after_write_s = 2  # then a pull follows a forwarded write, one for many writes
forward_max_s = 50  # clients wait for a minute
forward_refs_max = 500  # of one push to an upstream; more refs go in several pushes
upstream_stall_max_s = 30
upstream_resolve_max_s = 10
sync_error_max_chars = 200
upstream_git_memory_max_bytes = 2 * GIB  # address space; git keeps a whole list of refs in memory

# Git processes
git_output_max_bytes = 64 * MIB  # of a call whose output is kept in memory
git_call_max_s = 60
history_pass_max_s = 600  # one pass over a whole history; its result is kept
history_output_max_bytes = GIB
git_stall_max_s = 300  # a transfer without progress is ended after so long
git_memory_max_bytes = 4 * GIB  # address space of one child

# Packs
pack_buffer_max_bytes = 4 * MIB  # of a new pack in memory; most packs never reach it
copy_buffer_bytes = MIB
journal_relief_page = 100  # journals looked up at once, to be flushed
adoption_page = 500  # repositories of an earlier release looked up at once
file_read_at_once_max_bytes = 64 * KIB  # a file up to this size is read together with its facts
object_in_process_max_bytes = 8 * MIB  # larger blobs are read by `git cat-file`, never by libgit2

# Database
database_outage_wait_max_s = 1.0  # for a connection, while the server is away
database_outage_pause_s = 1.0  # after a wait in vain, other callers are refused at once for so long
database_ask_max_s = 2  # libpq takes whole seconds, at least 2
database_reconnect_max_s = 3  # one series of attempts; the end of an outage is noticed within it
statement_max_s = 60  # PostgreSQL ends a longer statement, and a transaction idle for so long
statement_lock_max_s = 30  # PostgreSQL: how long a statement waits for rows that others hold
database_probe_max_bytes = GIB  # read from a SQLite file that seems damaged: its device may be gone
database_probe_pause_s = 10.0  # until the file is read again
database_log_pace_s = 60.0  # in which slowed writers may use the room that SQLite's log has at the moment
database_log_readers_wait_s = 0.1  # for readers, at an attempt to reset the log; writers stand still
database_log_try_again_s = 0.5  # until the next attempt
database_log_tell_after_s = 2.0  # of attempts in vain the log names the reader
database_log_kept_bytes = 16 * MIB  # size of the log's file after a reset by SQLite itself
database_tell_again_s = 60.0  # until the log repeats the same failure of a SQLite file
vacuum_free_share = 4  # SQLite: pages are given back while more than one in so many is unused
vacuum_steps_max = 1000  # transactions of one sweep: a gigabyte
transaction_attempts_max = 5  # of a transaction that the engine rolls back for others
idle_connections_max = 32  # kept open by one process for reuse
repos_deleted_max = 1000  # by one call
expiry_look_s = 10.0  # between two looks for repositories whose time has come
deleted_repo_keep_s = 30 * 24 * 3600  # then the packs of a deleted repository are removed
key_text_max_chars = 200  # label and kid of a key

# Diffs
diff_files_max = 300_000
diff_renames_max = 1000  # sources times targets is at most its square, as git's own diff.renameLimit
diff_max_s = 50  # clients wait for a minute

# Blame
blame_ranges_max = 16
blame_range_max_chars = 1000
blame_file_max_bytes = 64 * MIB
blame_lines_max = 100_000
blame_max_s = 25  # clients wait for half a minute

# Archives
archive_prefix_max_chars = 4096  # before every name in the archive
archive_link_max_bytes = 64 * KIB  # target of a symlink; a tar keeps it in a header

# Grep
globs_max = 100  # of one kind in one request
glob_max_chars = 1024
grep_pattern_max_bytes = 4096
grep_context_max_lines = 50
grep_lines_max = 2000
grep_matches_max = 200  # matching lines of one page
grep_file_matches_default = 200
grep_file_matches_max = 100_000
grep_line_max_bytes = 8 * KIB  # the rest of a line is not returned
grep_slow_threads = 4  # of a git that searches file by file
grep_skipped_listed_max = 100  # skipped files that one page names
regex_repetitions_max = 1_000_000
regex_cpu_max_s = 3600  # processor time of a git with a regular expression, of all its threads
back_reference_cpu_max_s = 2  # the same for an expression with a back-reference, which may never end

# Merges
merge_conflict_blob_max_bytes = 256 * KIB

# Signatures
signing_keys_max = 200  # active keys of one organisation
signed_commits_max = 5000  # introduced by one update of a ref under `verify-sig`
signatures_check_max_s = 150  # for all commits of one update
signature_program_max_s = 20  # for one call of gpg or ssh-keygen
signature_output_max_bytes = MIB
signature_verdict_max_age_s = 60  # a key that expires meanwhile is trusted for as long

# Outbound requests
outbound_url_max_chars = 2048
outbound_addresses_max = 4  # tried addresses of one name
outbound_resolvers_max = 16
outbound_connections_max = 256
outbound_keep_alive_s = 10.0
outbound_piece_bytes = 64 * KIB

# Jobs
job_attempts_max = 10
job_retry_first_s = 2
job_retry_longest_s = 3600
job_poll_s = 0.5
job_error_max_chars = 300
job_batch_max = 64  # jobs of low priority that one thread runs together
jobs_listed_max = 200
finishing_max_s = 1.0  # for running work at the end of the server

# Credentials
credential_username_max_chars = 255
credential_password_max_chars = 8192

# Events and webhooks
fan_out_batch = 200  # events that one transaction hands to the subscriptions
webhooks_max = 1000  # active subscriptions of one organisation
webhook_secret_max_chars = 1000
webhook_timeout_s = 10.0
webhook_answer_max_bytes = KIB  # of a receiver's answer, kept in the log
webhook_receiver_sends_max = 4  # at once to one receiver that answers well
webhook_in_order_attempts = 3  # after so many failures, later events of the ref no longer wait
webhook_queue_max = 100  # deliveries of one subscription read together
event_page_max = 100
event_catch_up_max = 4  # streams of one server process that read old events at once
event_streams_max = 2000  # of one server process
event_poll_s = 0.3
event_keepalive_s = 15.0

# Idempotency keys
idempotency_key_max_chars = 255
answers_keep_s = 24 * 3600  # of writes with a key, for their repeats

# Runtime files
disk_min_free_bytes = 64 * MIB  # with less free space, reads use the runtime folder

# Damage of stored data
damage_rows_max = 100  # kept for one repository; more would tell nothing new
lost_folders_logged_max = 100  # at start, one line each; the others share one line
lost_folders_page = 1000  # repositories looked up with one query
damage_witnesses_max = 100_000  # objects searched for one to name in a damage report
damage_listed_max = 1000  # listed by /readyz?verbose

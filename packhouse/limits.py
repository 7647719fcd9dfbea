"""Every bound of the server, with its unit, in one place.

A loop, queue, body, page or subprocess without a bound from here is a bug. Bounds that an operator may
change are settings in `config.py`; these are the ones that belong to the contract or protect the process.
"""

from dataclasses import dataclass
from typing import Final

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds of which a node may have its own: how much it keeps in memory, how long it works and waits.

    An operation reads them from `node.limits`; code below the node is given what it needs of them.
    """

    # Log
    log_waiting_max_bytes: int = 4 * MIB  # lines that wait for standard error; beyond, lines are lost

    # Tokens and keys
    verified_tokens_max_bytes: int = 16 * MIB  # memory for tokens that a server process remembers as good
    active_keys_max: int = 100  # of one organisation; a token without kid may be tried with each of them
    cached_issuers_max: int = 10_000

    # Pages
    commits_page_max_bytes: int = 32 * MIB  # of commits, as stored; a page ends with the one beyond
    commits_listing_max_bytes: int = 256 * MIB  # of those that a listing without pages tells

    # Git over HTTP
    large_git_requests_max: int = 3
    git_slot_park_after_s: float = 2.0  # then the slot of a transfer that waits for its client is parked
    git_slot_cut_after_s: float = (
        20.0  # then a client that keeps others of its organisation waiting is cut off
    )
    git_slot_look_s: float = 2.0  # between two looks whether others wait
    git_slots_parked_max: int = 128  # of reads, and as many of pushes
    git_queue_max_s: float = 30  # how long a request waits for a slot
    git_queue_max: int = 1024  # requests of one limiter that wait for a slot
    git_retry_after_s: int = 5

    # Upstreams
    upstream_refs_max: int = 200_000  # that are mirrored

    # Git processes
    tree_listing_max_bytes: int = 128 * MIB  # of one `git ls-tree`, more than a million files
    tree_entries_max: int = 1_000_000  # files and folders that one walk over a tree meets

    # Packs
    packs_before_consolidation: int = 40
    view_folders_max: int = 256  # repositories whose packs one process keeps open
    pack_names_max: int = 20_000  # repositories of which a process remembers that it wrote to them lately
    listed_packs_max: int = 500_000  # of all lists of packs kept by one process
    incoming_grace_s: int = 3600  # a stored pack that no write has listed by then is deleted
    pack_keep_s: int = 0  # a pack that others have replaced: who reads it has links of its own
    object_cache_max_bytes: int = 64 * MIB
    tree_table_entries_max: int = 100_000  # of all trees kept as tables by one process
    file_map_rows_max: int = (
        400_000  # of all "last commit of each path" answers kept in memory by one process
    )
    file_map_wait_max_s: float = 20  # how long a request waits while another reads the history that it needs
    commit_summaries_max: int = 20_000
    commit_summary_max_bytes: int = 4 * KIB  # text of one that is kept
    history_stretches_max: int = 500  # pieces of 500 ids, kept for the next page of a history
    reachable_commits_max: int = 1_000_000  # in the kept sets of all repositories together
    last_commits_max: int = 50_000  # single "last commit of a path" answers kept

    # Database
    database_wait_max_s: int = 10  # for a connection, or for a lock that another program holds

    # Diffs
    diff_raw_total_max_bytes: int = (
        64 * MIB
    )  # patches in one answer; files beyond it are listed without theirs
    diff_memory_max_bytes: int = 3 * GIB // 2  # address space of one git diff

    # Grep
    grep_file_max_bytes: int = 64 * MIB  # larger files are left out when searching them takes too much memory
    grep_max_s: float = 25  # clients wait for a minute, of which half may pass until a search has a slot
    grep_whole_max_s: float = 10  # of it, for all files at once; then the search goes on file by file
    grep_file_max_s: float = 5  # for one file then; a file that takes longer is passed over
    regex_memory_max_bytes: int = (
        2 * GIB
    )  # address space of a git that compiles a caller's regular expression

    # Merges
    merge_memory_max_bytes: int = 2 * GIB  # address space of one git merge
    merge_conflict_files_max: int = 50  # whose contents a preview shows

    # Signatures
    signature_verdicts_max: int = 50_000  # kept by one process

    # Events and webhooks
    prune_batch: int = 1000

    # Runtime files
    ref_folders_max: int = 2000  # repositories whose refs are kept as files for git
    ref_folders_max_bytes: int = 256 * MIB  # of their packed-refs together


DEFAULT_LIMITS: Final = Limits()
"""What a server runs with."""

# The bounds below are the same in every node: clients see them, a format or git has them, or nobody ever needed
# another. What is to vary from node to node, be it for a test only, belongs into Limits; nobody patches a module.

# Requests
json_body_max_bytes = 16 * MIB
json_values_max = 200_000  # of one member of a JSON body
request_target_max_bytes = 128 * KIB  # download clients may send a path of 100,000 characters
request_path_max_bytes = 65_535  # before the query; the parser of targets takes no more
request_headers_max_bytes = 128 * KIB  # download clients may send a token of 100,000 characters
request_headers_max = 500
keep_alive_s = 75  # how long a connection may be idle between requests
pipelined_requests_max = 32  # that wait on one connection while another is answered
connections_max = 4096  # of one server process
query_fields_max = 200
waiting_calls_max = 1024  # that wait for a worker thread; one more is answered 503
background_stop_max_s = 5.0
worker_restarts_max = 5  # of crashed server processes within a minute, then the server gives up
body_stall_max_s = 60  # a client that sends nothing for so long is gone
refused_body_drain_max_bytes = 64 * MIB
refused_body_linger_max_s = 3.0  # for clients that still send when they are answered
token_max_bytes = 16 * KIB
request_id_max_chars = 128  # of an `X-Request-Id` that a client sends; a longer one counts as absent

# Log
log_value_max_chars = 256  # of a text from outside in the line of a request, which so stays below one page
log_collect_s = 0.05  # how long lines of requests are collected, to be written together
log_collected_max_bytes = 32 * KIB
log_flush_max_s = 2.0

# Tokens and keys
key_file_max_bytes = 64 * KIB
org_name_max_chars = 255
subject_max_chars = 255  # of a token's `sub`, which is only logged
static_tokens_max_bytes = 16 * MIB  # of the file of fixed tokens
static_token_faults_logged_max = 100  # lines of it that cannot be read; more are one line of the log
keys_version_max_age_s = 2.0  # how long a server may not notice that a key was added or revoked

# Commit streams (NDJSON)
chunk_decoded_max_bytes = 4 * MIB
chunk_line_max_bytes = 7 * MIB  # of them in base64, also when \u000d\u000a stands after every 76 characters
metadata_line_max_bytes = 64 * MIB
metadata_values_max = 2_000_000  # of one member of it; each of 200,000 files has four or five
blob_in_memory_max_bytes = 8 * MIB  # larger blobs wait in a temporary file
commit_files_max = 200_000
commit_folders_max = 500_000  # that one commit changes; paths may be two thousand folders deep
patch_max_bytes = 256 * MIB
merge_related_paths_max = 1000  # looked at for the real name of one conflict
merge_told_paths_max = 1000  # of conflicts that git tells of in messages alone
merge_folders_kept = 64  # of each side, while conflicts are named
patch_recounts_max = 10_000  # hunk headers of one patch that are put right
patch_paths_max = 500_000  # that lines of a patch may mean: about five for each file
guard_wait_max_s = 30  # how long an unguarded writer waits for others to write the branch

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
note_max_bytes = 16 * MIB  # of one that is read through the API

# Git over HTTP
fetch_request_max_bytes = 32 * MIB  # wants and haves, after gunzip
push_commands_max_bytes = 16 * MIB
push_commands_max = 50_000
push_options_max_bytes = 64 * KIB
pkt_line_max_bytes = 65520
ref_prefixes_max = 65_536  # of one ls-refs; with more, every ref is shown, as git does
git_request_small_bytes = (
    MIB  # few fetches with more wants and haves, or pushes with more commands, run at once
)
push_start_bytes = 64 * KIB  # of a pack that are here before the push takes a slot
git_messages_max_bytes = 64 * KIB  # of one process's standard error, kept for the client
git_keepalive_s = 5  # a waiting client sees a byte at least so often
connectivity_check_max_s = 3600
push_faults_max = 10_000  # faulty objects of one push; with more, none of its refs moves
push_tracing_max_s = 600  # finding the refs that lead to a faulty object
push_repack_max_s = 3600  # packing anew what is kept of a push
push_told_refs_max = 20  # refs of one push that its messages name
tag_chain_max = 32  # tags of tags; git itself has no limit

# Forks and snapshots
fork_objects_in_memory_max = 1_000_000  # ids of one fork; of more, packs are not linked but written anew
fork_max_s = 300  # of one git process; clients wait for half a minute

# Upstreams
sync_max_s = 3600  # one run
sync_attempts_max = 2  # that reach the upstream; what cannot get better fails at once
sync_retry_first_s = 3
sync_after_write_s = 2  # a forwarded write is followed by a pull, one for many writes
forward_max_s = 50  # clients wait for a minute
forward_refs_max = 500  # of one push to an upstream; more go in several
upstream_stall_max_s = 30
upstream_resolve_max_s = 10
sync_error_max_chars = 200
upstream_git_memory_max_bytes = 2 * GIB  # address space; git keeps a whole list of refs in memory

# Git processes
git_output_max_bytes = 64 * MIB  # of a call whose answer is kept in memory
git_call_max_s = 60
history_pass_max_s = 600  # one pass over a whole history; its answer is kept
history_output_max_bytes = GIB
git_stall_max_s = 300  # a transfer in which nothing moves for so long is ended
git_memory_max_bytes = 4 * GIB  # address space of one child
process_kill_grace_s = 1.0

# Packs
pack_buffer_max_bytes = 4 * MIB  # of a new pack that wait in memory; most packs never reach it
copy_buffer_bytes = MIB
adoption_page = 500  # repositories of an earlier release looked up at once
file_map_wait_max_s = 20  # how long a request waits while another reads the history that it needs
file_read_at_once_max_bytes = (
    64 * KIB
)  # a file that is read with its facts, whether its content is asked for or not
object_in_process_max_bytes = 8 * MIB  # larger blobs are read by `git cat-file`, never by libgit2

# Database
database_outage_wait_max_s = 1.0  # for a connection, while the server is away
database_outage_pause_s = 1.0  # after such a wait was in vain, others are refused at once for so long
database_ask_max_s = 2  # libpq takes whole seconds, at least 2
database_reconnect_max_s = 3  # one series of attempts; after an outage it is found back within as long
statement_max_s = 60  # PostgreSQL ends what takes longer; also a transaction that is idle for so long
statement_lock_max_s = 30  # PostgreSQL: how long a statement waits for rows that others hold
database_probe_max_bytes = (
    GIB  # read of a SQLite file that seems damaged, to tell it from a device that is gone
)
database_probe_pause_s = 10.0  # until it is read through again
database_tell_again_s = 60.0  # until the log names the same failure of a SQLite file once more
transaction_attempts_max = 5  # of one that gives way to concurrent ones
idle_connections_max = 32  # kept open by one process for reuse
deleted_repo_keep_s = 30 * 24 * 3600  # before the packs of a deleted repository are removed
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
archive_prefix_max_chars = 4096  # stands before every name in the archive
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
grep_line_max_bytes = 8 * KIB  # more of a line is not returned
grep_slow_threads = 4  # of a git that searches file by file
grep_skipped_listed_max = 100  # files passed over that one page names
regex_repetitions_max = 1_000_000
regex_cpu_max_s = 3600  # processor time of such a git, of all its threads
back_reference_cpu_max_s = 2  # the same when the expression has a back-reference, which may never end

# Merges
merge_conflict_blob_max_bytes = 256 * KIB

# Signatures
signing_keys_max = 200  # active ones of one organisation
signed_commits_max = 5000  # that one update may introduce to a ref under `verify-sig`
signatures_check_max_s = 150  # for all commits of one update
signature_program_max_s = 20  # for one call of gpg or ssh-keygen
signature_output_max_bytes = MIB
signature_verdict_max_age_s = 60  # a key that expires meanwhile is believed for as long

# Outbound requests
outbound_url_max_chars = 2048
outbound_addresses_max = 4  # of one name that are tried
outbound_resolvers_max = 16
outbound_connections_max = 256
outbound_keep_alive_s = 10.0
outbound_piece_bytes = 64 * KIB

# Jobs
job_attempts_max = 10
job_retry_first_s = 2
job_retry_longest_s = 3600
job_poll_s = 0.5
job_payload_max_bytes = 64 * KIB
job_error_max_chars = 300
jobs_listed_max = 200
finishing_max_s = 1.0  # for work under way when the server ends

# Credentials
credential_username_max_chars = 255
credential_password_max_chars = 8192

# Events and webhooks
fan_out_batch = 200  # events that one transaction hands to the subscriptions
webhooks_max = 1000  # active ones of one organisation
webhook_secret_max_chars = 1000
webhook_timeout_s = 10.0
webhook_answer_max_bytes = KIB  # of a receiver's answer, kept in the log
webhook_receiver_sends_max = 4  # at once to one receiver that answers well
webhook_in_order_attempts = 3  # after so many failures later events of the ref no longer wait
webhook_queue_max = 100  # deliveries of one subscription looked at together
event_page_max = 100
event_streams_max = 100  # of one server process
event_poll_s = 0.3
event_keepalive_s = 15.0

# Idempotency keys
idempotency_key_max_chars = 255
answers_keep_s = 24 * 3600  # of writes with a key, for their retries

# Runtime files
disk_min_free_bytes = 64 * MIB  # with less, reads work in the runtime folder

# Damage of stored data
damage_rows_max = 100  # that are kept of one repository; more tell nothing new
lost_folders_logged_max = 100  # at start, a line each; the others together are one
lost_folders_page = 1000  # repositories looked at with one query
damage_witnesses_max = 100_000  # objects looked through for one to name
damage_listed_max = 1000  # told by /readyz?verbose

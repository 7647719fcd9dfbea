"""A node: the settings, the database and the packs that every operation works on.

A node holds no other truth. Any number of processes may each open a node on the same data.
"""

import random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from packhouse.auth import SecretKeys, TokenVerifier
from packhouse.clock import Clock, system_clock
from packhouse.config import Config
from packhouse.db.engines.database import Database, open_database
from packhouse.git.objects import configure_libgit2
from packhouse.ids import RepoId
from packhouse.limits import DEFAULT_LIMITS, Limits
from packhouse.node.caches import (
    JournalPackCache,
    ObjectCache,
    PackListCache,
    ReachableCache,
    StretchCache,
    TreeTableCache,
    make_journal_pack_cache,
    make_object_cache,
    make_pack_list_cache,
    make_reachable_cache,
    make_stretch_cache,
    make_tree_table_cache,
)
from packhouse.node.damage_memory import DamageMemory
from packhouse.node.installation import (
    check_installation,
    claim_folder,
    keep_orphaned_log,
    remember_acceptance,
)
from packhouse.node.issuer_keys import make_token_verifier
from packhouse.node.journal_meter import JournalMeter
from packhouse.node.last_commit_cache import LastCommitCache
from packhouse.node.maintenance_queue import MaintenanceQueue
from packhouse.node.pack_names import PackNames
from packhouse.node.signature_verdicts import SignatureVerdicts
from packhouse.node.token_file import TokenFile
from packhouse.node.wakeups import Wakeups
from packhouse.outbound import OutboundClient
from packhouse.storage import DiskPackStore, FileCache, PackStore


@dataclass(slots=True)
class Node:
    """Everything that an operation needs. Time and randomness are included, so that a run can be replayed.

    `clock` tells the time of day. `monotonic` counts seconds from any start, for time limits. `sleep` waits that many
    seconds. `random_bytes` is for values that nobody may guess. `jitter` returns numbers from 0 to 1 that spread events
    which would otherwise come at once.
    """

    config: Config
    database: Database
    store: PackStore
    limits: Limits = DEFAULT_LIMITS
    damage: DamageMemory = field(default_factory=DamageMemory)
    clock: Clock = system_clock
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    random_bytes: Callable[[int], bytes] = secrets.token_bytes
    jitter: Callable[[], float] = random.random
    maintenance: MaintenanceQueue = field(default_factory=MaintenanceQueue)
    wakeups: Wakeups = field(default_factory=Wakeups)
    objects: ObjectCache = field(init=False)
    reachability: ReachableCache = field(init=False)
    last_commits: LastCommitCache = field(init=False)
    histories: StretchCache = field(init=False)
    pack_lists: PackListCache = field(init=False)
    journal_packs: JournalPackCache = field(init=False)
    journal: JournalMeter = field(init=False)
    pack_names: PackNames = field(init=False)
    tree_tables: TreeTableCache = field(init=False)
    signatures: SignatureVerdicts = field(init=False)
    tokens: TokenVerifier = field(init=False)
    secret_keys: SecretKeys = field(init=False)
    outbound: OutboundClient = field(init=False)
    file_maps: FileCache = field(init=False)
    static_tokens: TokenFile | None = field(init=False)
    _is_claimed: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self.objects = make_object_cache(self.limits)
        self.reachability = make_reachable_cache(self.limits)
        self.last_commits = LastCommitCache(self.limits)
        self.histories = make_stretch_cache(self.limits)
        self.pack_names = PackNames(self.limits)
        self.pack_lists = make_pack_list_cache(self.limits)
        self.journal_packs = make_journal_pack_cache(self.limits)
        self.journal = JournalMeter(self.limits, size_max_bytes=self.config.journal_max_bytes)
        self.tree_tables = make_tree_table_cache(self.limits)
        self.signatures = SignatureVerdicts(verdicts_max=self.limits.signature_verdicts_max)
        self.tokens = make_token_verifier(self.database, self._read_clock, self.limits)
        self.secret_keys = SecretKeys(self.config.secret_keys_path)
        self.outbound = OutboundClient(
            trusted_hosts=self.config.trusted_host_set, authorities=self.config.outbound_ca
        )
        self.file_maps = FileCache(
            self.config.data / "cache" / "last-commits", max_bytes=self.config.last_commit_cache_max_bytes
        )
        path = self.config.static_tokens
        self.static_tokens = None if path is None else TokenFile(path)

    def _read_clock(self) -> int:
        """Return the present time. Reads the field `clock` each time, because a test may replace it."""
        return self.clock()

    def claim_folder(self) -> None:
        """Note in the data folder which database it belongs to, unless this process has done so."""
        if not self._is_claimed:
            self._is_claimed = claim_folder(
                self.config, self.database, new_id=self.random_bytes(16).hex(), now=self.clock()
            )

    def new_state(self) -> int:
        """Return the random number for a new version of a repository's refs or packs."""
        return int.from_bytes(self.random_bytes(8)) >> 1

    def request_maintenance(self, repo_id: RepoId) -> None:
        """Ask this process's background thread to check a repository's packs soon."""
        self.maintenance.put(repo_id)

    def check(self) -> None:
        """Check that database and storage answer (readiness). Raises their error otherwise."""
        self.database.check()
        self.store.check()

    def close(self) -> None:
        """Close every connection and file."""
        self.outbound.close()
        self.store.close()
        self.database.close()


def open_node(config: Config, *, limits: Limits = DEFAULT_LIMITS) -> Node:
    """Open the data folder and the database. Make them if they are missing, and bring the schema up to date."""
    return _open(config, limits, may_create=True)


def open_existing_node(config: Config, *, limits: Limits = DEFAULT_LIMITS) -> Node:
    """Open an existing installation and bring its schema up to date. Raises NoData if none exists."""
    return _open(config, limits, may_create=False)


def _open(config: Config, limits: Limits, *, may_create: bool) -> Node:
    configure_libgit2()
    database = open_database(config.database_url, connections_max=config.threads + 8, limits=limits)
    try:
        is_accepted = check_installation(config, database, may_create=may_create)
        store = DiskPackStore(config.data, runtime_dir=config.runtime_dir, limits=limits)
        if may_create and is_accepted:
            keep_orphaned_log(database, now=system_clock())
        database.migrate()
        if may_create and is_accepted:
            remember_acceptance(config, database, now=system_clock())
        node = Node(config=config, database=database, store=store, limits=limits)
        if may_create:
            node.secret_keys.ensure()
    except BaseException:
        database.close()
        raise
    return node

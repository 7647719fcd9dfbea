"""Following an upstream, without contact to it: rows, addresses and states, on both engines."""

import dataclasses
import shutil
import threading
from pathlib import Path

import pytest

from packhouse.auth.principal import Principal
from packhouse.config import Config
from packhouse.db.jobs import claim_job, list_claimable_jobs
from packhouse.db.repos import FollowedUpstream, find_repo
from packhouse.db.upstreams import find_upstream
from packhouse.errors import Conflict
from packhouse.git.commands.transport.remote import find_fault
from packhouse.jobs.tasks import TASKS
from packhouse.jobs.worker import Worker
from packhouse.limits import job_attempts_max, sync_attempts_max
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.jobs.list_jobs import ListJobs, list_jobs
from packhouse.operations.repos.bases import UpstreamBase
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.operations.repos.get_repo import GetRepo, get_repo
from packhouse.operations.repos.list_repos import ListRepos, list_repos
from packhouse.operations.repos.repo_info import UpstreamInfo
from packhouse.operations.sync.create_credential import CreateCredential, create_credential
from packhouse.operations.sync.detach_upstream import DetachUpstream, detach_upstream
from packhouse.operations.sync.pull_upstream import NoUpstream, PullUpstream, pull_upstream
from packhouse.operations.sync.sync_upstream import SyncUpstream, sync_upstream
from packhouse.repository.upstream.access import UpstreamAway, explain_fault, make_address
from packhouse.secret import Secret
from tests.support.jobs import drain

GITEA = UpstreamBase("gitea", "o", "n", "forge.invalid:8443")
GITHUB = UpstreamBase("github", "o", "n")


def test_an_upstream_is_shown_until_it_is_detached(node: Node, caller: Principal) -> None:
    create_repo(node, caller, CreateRepo("plain"))
    created = create_repo(node, caller, CreateRepo("shop", base=GITEA))
    assert created.upstream == UpstreamInfo("gitea", "o", "n", "forge.invalid:8443")
    assert get_repo(node, caller, GetRepo("shop")) == created
    assert {repo.name: repo.upstream for repo in list_repos(node, caller, ListRepos()).repos} == {
        "plain": None,
        "shop": created.upstream,
    }
    assert [repo.name for repo in list_repos(node, caller, ListRepos("SHO")).repos] == ["shop"]
    for _ in range(2):
        detach_upstream(node, caller, DetachUpstream("shop"))
    assert get_repo(node, caller, GetRepo("shop")).upstream is None
    with pytest.raises(NoUpstream):
        pull_upstream(node, caller, PullUpstream("shop"))


def test_contents_are_refused_from_the_pull_until_its_run_ended(node: Node, caller: Principal) -> None:
    created = create_repo(node, caller, CreateRepo("shop", base=GITEA))
    lookup_repo(node, caller, "shop")
    pull_upstream(node, caller, PullUpstream("shop", "main"))
    with pytest.raises(Conflict, match="repository sync in progress, please retry shortly"):
        lookup_repo(node, caller, "shop")
    ask = SyncUpstream(created.public_id)
    assert sync_upstream(node, ask)
    repo = lookup_repo(node, caller, "shop")
    with node.database.read() as session:
        upstream = find_upstream(session, repo.id)
    assert upstream is not None
    assert (upstream.state, upstream.run_count, upstream.last_error) == ("idle", 1, "authentication failed")
    pull_upstream(node, caller, PullUpstream("shop"))
    lookup_repo(node, caller, "shop")  # only the first sync is waited for


def test_a_first_sync_whose_workers_keep_dying_does_not_lock_the_repository(
    node: Node, caller: Principal
) -> None:
    create_repo(node, caller, CreateRepo("shop", base=GITHUB))
    now = 10_000
    node.clock = lambda: now
    for _ in range(job_attempts_max):
        with node.database.write() as session:
            (due,) = list_claimable_jobs(session, now=now, limit=10)
            assert claim_job(session, due, worker="killed", lease_until=now, now=now) is not None
        now += 1
    stopping = threading.Event()
    worker = Worker(node, TASKS, stopping)
    drain(node, worker)
    stopping.set()
    worker.close()
    assert [job.state for job in list_jobs(node, ListJobs())] == ["dead"]
    repo = lookup_repo(node, caller, "shop")
    with node.database.read() as session:
        upstream = find_upstream(session, repo.id)
    assert upstream is not None
    assert (upstream.state, upstream.last_error) == ("idle", "its workers ended before it did")


def test_github_is_pulled_at_once(node: Node, caller: Principal) -> None:
    create_repo(node, caller, CreateRepo("shop", base=GITHUB))
    with pytest.raises(Conflict):
        lookup_repo(node, caller, "shop")
    with node.database.read() as session:
        repo = find_repo(session, caller.org_id, "shop")
    assert repo is not None
    assert repo.upstream == FollowedUpstream("github", "", "o", "n", "app", in_first_sync=True)


def test_a_sync_of_a_deleted_repository_does_nothing(node: Node, caller: Principal) -> None:
    created = create_repo(node, caller, CreateRepo("shop", base=GITEA))
    detach_upstream(node, caller, DetachUpstream("shop"))
    for public_id in (created.public_id, "repo_none"):
        assert sync_upstream(node, SyncUpstream(public_id))


def test_a_first_sync_that_finds_no_storage_ends_with_its_last_attempt(node: Node, caller: Principal) -> None:
    node.config = dataclasses.replace(node.config, trusted_hosts="http://127.0.0.1:1")
    created = create_repo(
        node, caller, CreateRepo("shop", base=dataclasses.replace(GITEA, host="127.0.0.1:1"))
    )
    owner = dataclasses.replace(caller, repo_claim="shop")
    create_credential(node, owner, CreateCredential("shop", Secret("word")))
    pull_upstream(node, caller, PullUpstream("shop"))
    quarantines = node.config.data / "quarantine"
    shutil.rmtree(quarantines)
    quarantines.touch()
    with pytest.raises(OSError, match="quarantine"):
        sync_upstream(node, SyncUpstream(created.public_id))
    assert sync_upstream(node, SyncUpstream(created.public_id, attempt=sync_attempts_max))
    repo = lookup_repo(node, caller, "shop")
    with node.database.read() as session:
        upstream = find_upstream(session, repo.id)
    assert upstream is not None
    assert upstream.last_error == "storage not available"


@pytest.mark.parametrize(
    ("provider", "host", "owner", "address"),
    [
        ("github", "", "o", "https://github.example/git/o/n.git"),
        ("github", "ghe.example", "o", "https://ghe.example/o/n.git"),
        ("gitlab", "", "group/sub", "https://gitlab.com/group/sub/n.git"),
        ("bitbucket", "", "o", "https://bitbucket.org/o/n.git"),
        ("codeberg", "", "o", "https://codeberg.org/o/n.git"),
        ("sr.ht", "", "o", "https://git.sr.ht/~o/n"),
        ("sourcehut", "", "~o", "https://git.sr.ht/~o/n"),
        ("gitea", "forge.example:8443", "o", "https://forge.example:8443/o/n.git"),
        ("forgejo", "127.0.0.1:3000", "o", "http://127.0.0.1:3000/o/n.git"),
    ],
)
def test_the_address_follows_from_provider_and_host(
    tmp_path: Path, node: Node, provider: str, host: str, owner: str, address: str
) -> None:
    config = Config(
        data=tmp_path,
        upstream_urls="github=https://github.example/git/",
        trusted_hosts="http://127.0.0.1:3000",
    )
    node.config = dataclasses.replace(config)
    upstream = FollowedUpstream(provider, host, owner, "n", "credential", in_first_sync=False)
    assert make_address(node, upstream) == address


@pytest.mark.parametrize(
    ("stderr", "reason", "is_lasting"),
    [
        (b"fatal: Authentication failed for 'http://10.0.0.1/'", "authentication failed", True),
        (b"fatal: repository 'https://x/' not found", "upstream repository not found", True),
        (b"error: RPC failed; curl 56 Recv failure: Connection reset by peer", "connection broke off", False),
        (b"fatal: unable to access 'x': end of response with 9 bytes missing", "connection broke off", False),
        (b"fatal: unable to access 'x': Failed to connect to x port 1", "cannot connect", False),
        (b"server certificate verification failed", "certificate is not valid", True),
        (b"fatal: Out of memory, realloc failed", "upstream sent too much", True),
        (b"fatal: something new at 10.0.0.1", "upstream failed", False),
        (b"fatal: unable to access 'https://x/tls/timeout.git/': Failed to connect", "cannot connect", False),
        (
            b"remote: bad certificate\nfatal: repository 'https://x/' not found",
            "upstream repository not found",
            True,
        ),
    ],
)
def test_gits_messages_are_replaced_by_our_words(stderr: bytes, reason: str, is_lasting: bool) -> None:
    away = explain_fault(find_fault(stderr))
    assert isinstance(away, UpstreamAway)
    assert (away.reason, away.is_lasting) == (reason, is_lasting)

"""Reading the events of a repository, and forgetting old ones."""

import json
from dataclasses import replace

import pytest

from packhouse.auth.principal import Principal
from packhouse.db.repos import RepoNotFound
from packhouse.git.refname import branch_refname
from packhouse.limits import Limits, event_page_max
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.events.find_missed_events import FindMissedEvents, find_missed_events
from packhouse.operations.events.open_events import EventReader, EventsForgotten, OpenEvents, open_events
from packhouse.operations.events.prune_events import PruneEvents, prune_events
from packhouse.operations.events.read_news import ReadNews, read_news
from packhouse.operations.jobs.list_jobs import ListJobs, list_jobs
from packhouse.operations.refs.create_branch import CreateBranch, create_branch
from packhouse.operations.refs.delete_branch import DeleteBranch, delete_branch
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.operations.repos.delete_repo import DeleteRepo, delete_repo
from tests.support.builders.node_writes import commit_files

pytestmark = pytest.mark.quick


def write(node: Node, caller: Principal, count: int = 1, *, repo: str = "r") -> None:
    """Move main `count` times."""
    for number in range(count):
        commit_files(node, caller, repo, "main", {"a": b"%d %d\n" % (node.clock(), number)})


def listen(node: Node, caller: Principal, after: int | None = 0) -> EventReader:
    """Return a reader of the repository's events."""
    return open_events(node, caller, OpenEvents("r", after))


def told(reader: EventReader) -> list[tuple[str, str, str]]:
    """Return kind, ref and new value of each of the next events."""
    payloads = [(event, json.loads(event.payload)) for event in reader.read()]
    return [(event.kind, payload["ref"], payload["after"]) for event, payload in payloads]


def test_a_reader_gets_each_move_of_a_branch_once(node: Node, caller: Principal, repo: str) -> None:
    reader = listen(node, caller)
    first = commit_files(node, caller, repo, "main", {"a": b"1\n"}).commit
    assert told(reader) == [("push", "refs/heads/main", first)]
    create_branch(node, caller, CreateBranch(repo, branch_refname("side"), base_ref="main"))
    delete_branch(node, caller, DeleteBranch(repo, branch_refname("side")))
    assert [event[1:] for event in told(reader)] == [
        ("refs/heads/side", first),
        ("refs/heads/side", "0" * 40),
    ]
    assert reader.read() == []


def test_a_reader_without_a_last_event_gets_only_new_events(node: Node, caller: Principal, repo: str) -> None:
    write(node, caller, 2)
    reader = listen(node, caller, after=None)
    assert reader.read() == []
    write(node, caller)
    assert len(reader.read()) == 1


def test_a_reader_goes_on_after_the_event_that_it_saw_last(node: Node, caller: Principal, repo: str) -> None:
    write(node, caller, 3)
    first, second, third = listen(node, caller).read()
    assert [event.id for event in listen(node, caller, first.id).read()] == [second.id, third.id]
    assert listen(node, caller, third.id).read() == []


def test_events_come_in_pages(node: Node, caller: Principal, repo: str) -> None:
    main = branch_refname("b")
    write(node, caller)
    for _ in range(event_page_max // 2):
        create_branch(node, caller, CreateBranch(repo, main, base_ref="main"))
        delete_branch(node, caller, DeleteBranch(repo, main))
    reader = listen(node, caller)
    assert [len(reader.read()) for _ in range(3)] == [event_page_max, 1, 0]


def test_a_reader_ahead_of_a_restored_database_is_refused(node: Node, caller: Principal, repo: str) -> None:
    write(node, caller)
    last = listen(node, caller).read()[-1].id
    with pytest.raises(EventsForgotten) as refused:
        listen(node, caller, last + 1)
    assert refused.value.last_event_id == last + 1


def test_events_of_other_repositories_and_organisations_are_not_read(
    node: Node, caller: Principal, stranger: Principal, repo: str
) -> None:
    create_repo(node, caller, CreateRepo("other"))
    write(node, caller, repo="other")
    assert listen(node, caller).read() == []
    with pytest.raises(RepoNotFound):
        listen(node, stranger)


def test_readers_of_a_deleted_repository_have_missed_events(node: Node, caller: Principal, repo: str) -> None:
    create_repo(node, caller, CreateRepo("other"))
    readers = FindMissedEvents({listen(node, caller).repo_id: 0, lookup_repo(node, caller, "other").id: 0})
    assert find_missed_events(node, readers) == frozenset()
    delete_repo(node, caller, DeleteRepo(repo))
    assert find_missed_events(node, readers) == {min(readers.positions)}
    with pytest.raises(RepoNotFound):
        listen(node, caller)


# Many repositories at once


def test_news_of_many_repositories_are_read_together(node: Node, caller: Principal, repo: str) -> None:
    create_repo(node, caller, CreateRepo("other"))
    create_repo(node, caller, CreateRepo("quiet"))
    here, other, quiet = (lookup_repo(node, caller, name).id for name in ("r", "other", "quiet"))
    write(node, caller, 3)
    write(node, caller, 2, repo="other")
    first = listen(node, caller).read()[0].id
    news = read_news(node, ReadNews({here: first, other: 0, quiet: 0}))
    assert {repo_id: len(events) for repo_id, events in news.events.items()} == {here: 2, other: 2}
    assert all(event.id > first for event in news.events[here])
    assert not news.has_more
    seen = {repo_id: events[-1].id for repo_id, events in news.events.items()}
    assert read_news(node, ReadNews({**seen, quiet: 0})).events == {}


def test_many_news_come_in_turns_and_the_oldest_first(node: Node, caller: Principal, repo: str) -> None:
    names = [f"r{number}" for number in range(3)]
    for name in names:
        create_repo(node, caller, CreateRepo(name))
        write(node, caller, repo=name)
    positions = {lookup_repo(node, caller, name).id: 0 for name in reversed(names)}
    news = read_news(replace(node, limits=Limits(event_news_repos_max=2)), ReadNews(positions))
    assert list(news.events) == sorted(positions)[:2]
    assert news.has_more


# Pruning


def test_old_events_are_deleted_and_readers_that_have_not_seen_them_learn_it(
    node: Node, caller: Principal, repo: str
) -> None:
    write(node, caller, 2)
    slow, quick = listen(node, caller), listen(node, caller)
    first, second = quick.read()
    node.clock = lambda: 1001 + node.config.event_keep_s
    write(node, caller)
    assert prune_events(node, PruneEvents())
    for reader, missed in ((slow, {slow.repo_id}), (quick, set())):
        assert find_missed_events(node, FindMissedEvents({reader.repo_id: reader.after})) == missed
        assert len(reader.read()) == 1
        assert reader.has_missed == bool(missed)
    for after in (0, first.id):
        with pytest.raises(EventsForgotten):
            listen(node, caller, after)
    assert len(listen(node, caller, second.id).read()) == 1


def test_young_events_are_kept(node: Node, caller: Principal, repo: str) -> None:
    write(node, caller, 2)
    node.clock = lambda: 1000 + node.config.event_keep_s
    assert prune_events(node, PruneEvents())
    assert len(listen(node, caller).read()) == 2


def test_pruning_goes_in_short_transactions_and_may_be_cut_short(
    node: Node, caller: Principal, repo: str
) -> None:
    few = replace(node, limits=Limits(prune_batch=2))
    write(few, caller, 5)
    few.clock = lambda: 1001 + few.config.event_keep_s
    asked: list[int] = []

    def stop_second_time() -> bool:
        asked.append(len(EventReader(few, lookup_repo(few, caller, repo).id).read()))
        return len(asked) == 2

    assert not prune_events(few, PruneEvents(stop_second_time))
    assert asked == [3, 1]
    assert prune_events(few, PruneEvents())
    assert EventReader(few, lookup_repo(few, caller, repo).id).read() == []


def test_the_next_pruning_is_queued_once(node: Node) -> None:
    for _ in range(2):
        assert prune_events(node, PruneEvents())
    (job,) = list_jobs(node, ListJobs())
    assert (job.kind, job.key, job.run_at) == ("prune_events", "all", 1600)

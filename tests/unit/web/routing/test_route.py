"""The constructors of routes: the facts that a row leaves to them."""

import inspect
from dataclasses import fields
from typing import get_origin

import msgspec
import pytest
from starlette.responses import Response

from packhouse.auth.scopes import Scope
from packhouse.web.app import API, ROUTES
from packhouse.web.call import Call
from packhouse.web.openapi.description import Description
from packhouse.web.prepared_write import BranchWrite, PreparedWrite
from packhouse.web.routing.match import Dialect
from packhouse.web.routing.route import (
    ADMIN,
    Claim,
    ErrorStyle,
    Paths,
    Route,
    Writes,
    changing,
    of_org,
    of_remote,
    of_repo,
    public,
    reading,
    writing,
    writing_branch,
)

pytestmark = pytest.mark.quick


class Made(msgspec.Struct):
    """A reply of these tests."""

    name: str


async def writer(_call: Call) -> PreparedWrite[Made]:
    """Stand in for a handler that prepares a write."""
    raise AssertionError


async def branch_writer(_call: Call) -> BranchWrite[Made]:
    """Stand in for a handler that prepares a write to a branch."""
    raise AssertionError


WORDS = Description("What it does")


async def handler(_call: Call) -> Response:
    """Stand in for a handler: these tests never call it."""
    return Response()


def test_a_repository_is_in_the_preferred_path_only() -> None:
    assert of_repo("tags") == Paths("/api/v1/repos/tags", "/api/repos/{repo}/tags")


def test_an_organisations_paths_differ_by_their_version_only() -> None:
    assert of_org("webhooks/{id}") == Paths("/api/v1/webhooks/{id}", "/api/webhooks/{id}")


def test_a_reading_route_is_a_get_that_needs_to_read_git() -> None:
    row = reading("list_tags", of_repo("tags"), handler, WORDS)
    assert (row.method, row.scopes, row.claim) == ("GET", (Scope.GIT_READ,), Claim.REPO)
    assert row.writes is Writes.NOTHING
    assert row.description is WORDS


def test_a_public_route_has_one_path_and_no_scope() -> None:
    row = public("healthz", "/healthz", handler, WORDS)
    assert row.paths == Paths(preferred="/healthz")
    assert (row.scopes, row.claim) == ((), Claim.HANDLER)


def test_a_changing_route_takes_no_key() -> None:
    row = changing("create_webhook", of_org("webhooks"), handler, WORDS, claim=Claim.ORG)
    assert (row.method, row.scopes, row.claim) == ("POST", ADMIN, Claim.ORG)
    assert row.writes is Writes.EACH_TIME
    assert not row.writes.takes_key


def test_writing_routes_take_a_key_and_need_to_write_git() -> None:
    once = writing("create_tag", of_repo("tags"), writer, WORDS)
    queued = writing_branch("merge", of_repo("merge"), branch_writer, WORDS, errors=ErrorStyle.COMMIT_RESULT)
    assert (once.writes, queued.writes) == (Writes.ONCE, Writes.BRANCH)
    for row in (once, queued):
        assert row.writes.takes_key
        assert (row.method, row.scopes) == ("POST", (Scope.GIT_WRITE,))
    assert queued.errors is ErrorStyle.COMMIT_RESULT


def test_a_route_of_a_remote_speaks_to_git_and_authorises_by_itself() -> None:
    row = of_remote("upload_pack", "/git-upload-pack", handler, method="POST")
    assert (row.errors, row.claim) == (ErrorStyle.GIT, Claim.HANDLER)
    assert row.template(Dialect.GIT) == "/{repo}.git/git-upload-pack"


def test_a_template_is_the_path_of_its_dialect() -> None:
    row = reading("list_tags", of_repo("tags"), handler, WORDS)
    assert row.template(Dialect.RELEASED) == "/api/v1/repos/tags"
    assert row.template(Dialect.PREFERRED) == "/api/repos/{repo}/tags"
    only_released = reading("old", Paths(released="/api/v1/old"), handler, WORDS)
    assert only_released.template(Dialect.PREFERRED) == "/api/v1/old"


def _named(writes: Writes) -> set[str]:
    return {route.name for route in ROUTES if route.writes is writes}


def test_every_get_reads_and_every_other_method_says_what_it_writes() -> None:
    def reads(route: Route) -> bool:
        by_post = {"grep", "archive", "upload_pack", "receive_pack", "lfs"}
        return route.method == "GET" or route.name in by_post

    for route in ROUTES:
        assert (route.writes is Writes.NOTHING) == reads(route), route.name


def test_routes_that_add_commits_wait_in_the_branch_queue() -> None:
    assert _named(Writes.BRANCH) == {
        "create_commit",
        "diff_commit",
        "restore_commit",
        "reset_commits",
        "merge",
        "write_note",
        "delete_note",
    }


def test_single_ref_updates_and_new_repositories_are_made_once() -> None:
    assert _named(Writes.ONCE) == {
        "create_repo",
        "create_branch",
        "delete_branch",
        "create_tag",
        "delete_tag",
        "delete_tag_by_path",
    }


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_a_handler_prepares_a_write_exactly_where_its_route_says_so(route: Route) -> None:
    promised = inspect.signature(route.handler, eval_str=True).return_annotation
    prepared = {Writes.ONCE: PreparedWrite, Writes.BRANCH: BranchWrite}.get(route.writes)
    if prepared is None:
        assert get_origin(promised) not in (PreparedWrite, BranchWrite)
    else:
        assert get_origin(promised) is prepared


def test_a_route_has_the_reply_that_its_handler_promises() -> None:
    assert writing("make", of_repo("things"), writer, WORDS).reply is Made
    assert reading("get", of_repo("things"), handler, WORDS).reply is None


def test_a_row_has_no_place_to_repeat_what_its_handler_promises() -> None:
    assert "reply" not in {field.name for field in fields(Description)}


def test_handlers_return_responses_only_for_answers_that_are_not_json() -> None:
    for route in API:
        promised = inspect.signature(route.handler, eval_str=True).return_annotation
        is_json = route.description.reply_media == "application/json"
        assert (promised is Response) != is_json, route.name


def test_every_route_of_the_api_with_a_json_body_says_what_is_in_it() -> None:
    for route in API:
        described = route.description
        is_json = described.reply_media == "application/json" and described.status != 204
        assert (route.reply is not None) == is_json, route.name

"""The handler for each raw request target."""

import pytest
from starlette.responses import Response

from packhouse.web.app import ROUTES
from packhouse.web.call import Call
from packhouse.web.routing.match import Dialect, Match
from packhouse.web.routing.route import ErrorStyle, Paths, Route, of_org, of_remote, of_repo
from packhouse.web.routing.router import (
    ApiVersionUnknown,
    MethodNotAllowed,
    PathNotUtf8,
    PathUnknown,
    PercentEscapeInvalid,
    Router,
    RoutingFailure,
    split_path,
)

pytestmark = pytest.mark.quick


async def handler(_call: Call) -> Response:
    """Stand in for a handler: these tests never call it."""
    return Response()


ROUTER = Router(
    [
        Route("list", "GET", of_org("repos"), handler),
        Route("create", "POST", of_org("repos"), handler),
        Route("get", "GET", Paths("/api/v1/repo", "/api/repos/{repo}"), handler),
        Route("branches", "GET", Paths(preferred="/api/repos/{repo}/branches"), handler),
        Route("tag", "DELETE", Paths(preferred="/api/repos/{repo}/tags/{tag}"), handler),
        Route("commit", "POST", of_repo("commit-pack"), handler, errors=ErrorStyle.COMMIT_RESULT),
        of_remote("refs", "/info/refs", handler),
        of_remote("lfs", "/info/lfs/objects/{oid}", handler, method="PUT", errors=ErrorStyle.LFS),
    ]
)


def find_match(method: str, path: bytes) -> Match:
    route, match = ROUTER.match(method, path)
    assert route.name == match.operation
    return match


def failure_of(method: str, path: bytes) -> RoutingFailure:
    with pytest.raises(RoutingFailure) as caught:
        ROUTER.match(method, path)
    return caught.value


def test_an_encoded_slash_stays_inside_its_segment() -> None:
    match = find_match("GET", b"/api/repos/apps%2Fshop/branches")
    assert (match.operation, match.values) == ("branches", {"repo": "apps/shop"})


def test_a_segment_is_decoded_only_once() -> None:
    assert find_match("GET", b"/api/repos/a%252Fb").values == {"repo": "a%2Fb"}


def test_a_plus_in_a_path_is_a_plus() -> None:
    assert find_match("GET", b"/api/repos/a+b%20c").values == {"repo": "a+b c"}


def test_a_raw_slash_in_a_name_reaches_no_route() -> None:
    assert isinstance(failure_of("GET", b"/api/repos/apps/shop").error, PathUnknown)


@pytest.mark.parametrize("path", [b"//api/v1/repos", b"////api/v1/repos"])
def test_slashes_repeated_at_the_start_count_as_one(path: bytes) -> None:
    assert find_match("GET", path).dialect is Dialect.RELEASED


@pytest.mark.parametrize(
    "path", [b"/api/repos//branches", b"/api//repos", b"/api/repos/", b"/api/repos/x/", b"/", b"/api"]
)
def test_an_empty_segment_elsewhere_names_nothing(path: bytes) -> None:
    assert isinstance(failure_of("GET", path).error, PathUnknown)


def test_a_repository_may_be_called_like_a_path() -> None:
    assert find_match("GET", b"/api/repos/branches/branches").values == {"repo": "branches"}
    assert find_match("GET", b"/api/repos/v1").values == {"repo": "v1"}


def test_head_is_answered_by_get() -> None:
    assert find_match("HEAD", b"/api/repos").operation == "list"


def test_the_answer_to_an_unknown_method_lists_the_allowed_ones() -> None:
    error = failure_of("BREW", b"/api/repos").error
    assert isinstance(error, MethodNotAllowed)
    assert error.allow == "GET, HEAD, POST"


def test_routing_failures_of_commit_paths_have_the_form_of_commits() -> None:
    for path in (b"/api/v1/repos/commit-pack", b"/api/repos/%zz/commit-pack", b"/api/v2/repos/commit-pack"):
        assert failure_of("PUT", path).style is ErrorStyle.COMMIT_RESULT


@pytest.mark.parametrize("version", [b"v2", b"v0", b"v11"])
def test_other_api_versions_are_not_served(version: bytes) -> None:
    error = failure_of("GET", b"/api/%s/repos" % version).error
    assert isinstance(error, ApiVersionUnknown)


@pytest.mark.parametrize("path", [b"/api/repos/%", b"/api/repos/%4", b"/api/repos/%zz", b"/%gg"])
def test_bad_percent_escapes_are_refused(path: bytes) -> None:
    assert isinstance(failure_of("GET", path).error, PercentEscapeInvalid)


@pytest.mark.parametrize("path", [b"/api/repos/%ff", b"/api/repos/%ed%a0%80", b"/x%c0%af/info/refs"])
def test_paths_that_are_not_utf8_are_refused(path: bytes) -> None:
    assert isinstance(failure_of("GET", path).error, PathNotUtf8)


def test_a_git_suffix_is_found_from_the_right() -> None:
    match = find_match("GET", b"/apps/info/refs/shop.git/info/refs")
    assert (match.dialect, match.git_path) == (Dialect.GIT, "apps/info/refs/shop.git")


def test_a_percent_sign_in_a_remote_may_stand_for_itself() -> None:
    match = find_match("GET", b"//50%off/a%20b%.git/info/refs")
    assert (match.git_path, match.git_path_as_written) == ("50%off/a b%.git", "50%off/a%20b%.git")


@pytest.mark.parametrize(
    "path",
    [
        b"/apps//shop.git/info/refs",
        b"/apps///shop.git//info/refs",
        b"//apps/shop.git//info//refs",
        b"/apps/shop.git/info//refs",
    ],
)
def test_slashes_repeated_in_a_remote_count_as_one(path: bytes) -> None:
    match = find_match("GET", path)
    assert (match.git_path, match.git_path_as_written) == ("apps/shop.git", "apps/shop.git")


def test_repeated_slashes_count_as_one_in_every_git_route() -> None:
    match = find_match("PUT", b"/a//b+ephemeral.git//info/lfs//objects//x")
    assert (match.operation, match.git_path, match.values) == ("lfs", "a/b+ephemeral.git", {"oid": "x"})


@pytest.mark.parametrize("path", [b"/x.git/info/refs/", b"/x.git/info/refs//", b"//info//refs", b"/x.git//"])
def test_a_remote_path_that_ends_in_a_slash_names_no_route(path: bytes) -> None:
    assert isinstance(failure_of("GET", path).error, PathUnknown)


def test_encoded_slashes_in_a_remote_are_kept() -> None:
    match = find_match("GET", b"/apps%2F%2Fshop.git/info/refs")
    assert (match.git_path, match.git_path_as_written) == ("apps//shop.git", "apps%2F%2Fshop.git")


def test_values_in_a_git_suffix_are_decoded() -> None:
    match = find_match("PUT", b"/a%20b/c.git/info/lfs/objects/x%2By")
    assert (match.git_path, match.values) == ("a b/c.git", {"oid": "x+y"})


def test_a_git_suffix_alone_names_no_repository() -> None:
    assert isinstance(failure_of("GET", b"/info/refs").error, PathUnknown)


def test_dot_segments_are_names_like_others() -> None:
    assert split_path(b"/api/../x/%2e%2E") == ["api", "..", "x", ".."]
    assert isinstance(failure_of("GET", b"/x/../api/repos").error, PathUnknown)


def test_two_routes_cannot_share_method_and_path() -> None:
    row = Route("a", "GET", Paths(preferred="/api/a"), handler)
    with pytest.raises(AssertionError, match="routed twice"):
        Router([row, row])


def test_the_servers_own_routes_fit_together() -> None:
    Router(ROUTES)
    names = [(route.name, route.method) for route in ROUTES if not route.paths.git_suffix]
    assert len(set(names)) == len(names)

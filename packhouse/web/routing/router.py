"""Routes by the raw request target: the handler for a method and path, in both dialects.

Frameworks route on the decoded path, where `apps%2Fshop` and `apps/shop` look the same. Here the target is split on `/`
first, and each segment is decoded once afterwards (RFC 3986 section 2.4).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from urllib.parse import unquote_to_bytes

from packhouse.errors import Code, Invalid, NotFound, PackhouseError
from packhouse.web.routing.match import Dialect, Match
from packhouse.web.routing.route import ErrorStyle, Route

_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_SLASHES = re.compile(rb"//+")
_VERSION_SEGMENT = re.compile(r"v[0-9]+\Z")


class PathUnknown(NotFound):
    """No route has this path."""

    code = Code.PATH_UNKNOWN


class LfsNotServed(NotFound):
    """The path is one of Git LFS. This server keeps large files in Git itself."""

    code = Code.LFS_NOT_SERVED


class ApiVersionUnknown(NotFound):
    """The path names another version than `v1`."""

    code = Code.API_VERSION_UNKNOWN
    version: str


class PercentEscapeInvalid(Invalid):
    """A percent sign of the path is not followed by two hex digits."""

    code = Code.PERCENT_ESCAPE_INVALID


class PathNotUtf8(Invalid):
    """A segment of the path is not UTF-8."""

    code = Code.PATH_NOT_UTF8


class MethodNotAllowed(PackhouseError, kw_only=True):
    """The path exists, but not with this method. `allow` is what the Allow header lists."""

    code = Code.METHOD_NOT_ALLOWED
    method: str
    allow: str


@dataclass(slots=True)
class _Place:
    children: dict[str, "_Place"] = field(default_factory=dict)
    variable: "tuple[str, _Place] | None" = None
    routes: dict[str, tuple[Route, Dialect]] = field(default_factory=dict)


class RoutingFailure(Exception):
    """No route answers the request.

    Carries the failure and the error style of the path, and the template of a path that does not take the method.
    """

    def __init__(self, error: PackhouseError, style: ErrorStyle, template: str = "") -> None:
        super().__init__(str(error))
        self.error = error
        self.style = style
        self.template = template


class Router:
    """All routes, looked up by method and raw path."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._root = _Place()
        self._suffixes: list[tuple[tuple[str, ...], dict[str, Route]]] = []
        self._result_names: set[str] = set()
        self._codearts_roots: set[str] = set()
        for route in routes:
            if route.errors is ErrorStyle.CODEARTS:
                self._codearts_roots.add(route.paths.preferred.split("/")[1])
            if route.errors is ErrorStyle.COMMIT_RESULT:
                self._result_names.add(route.paths.preferred.rpartition("/")[2])
            self._add(route, route.paths.released, Dialect.RELEASED)
            self._add(route, route.paths.preferred, Dialect.PREFERRED)
            if route.paths.git_suffix:
                self._add_suffix(route)
        self._suffixes.sort(key=lambda item: -len(item[0]))

    def _add(self, route: Route, path: str, dialect: Dialect) -> None:
        if not path:
            return
        place = self._root
        for segment in path[1:].split("/"):
            if segment.startswith("{"):
                name = segment.strip("{}")
                if place.variable is None:
                    place.variable = (name, _Place())
                assert place.variable[0] == name, f"{path}: two names for one path segment"
                place = place.variable[1]
            else:
                place = place.children.setdefault(segment, _Place())
        if not path.startswith("/api/"):
            dialect = Dialect.NONE
        assert route.method not in place.routes, f"{route.method} {path} is routed twice"
        place.routes[route.method] = (route, dialect)

    def _add_suffix(self, route: Route) -> None:
        suffix = tuple(route.paths.git_suffix[1:].split("/"))
        for known, methods in self._suffixes:
            if known == suffix:
                methods[route.method] = route
                return
        self._suffixes.append((suffix, {route.method: route}))

    def match(self, method: str, raw_path: bytes) -> tuple[Route, Match]:
        """Return the route that answers, and the facts that it gives about the request.

        Raises RoutingFailure for an unknown path, a method that the path does not take and an undecodable path.
        """
        segments = split_path(raw_path)
        other_version = _other_version(segments)
        place, values = self._find(["api", "v1", *segments[2:]] if other_version else segments)
        if place is not None:
            found, style = _choose(place.routes, method)
            if other_version:
                raise RoutingFailure(ApiVersionUnknown(other_version), style)
            _check_escapes(raw_path, style)
            if found is None:
                other, dialect = next(iter(place.routes.values()))
                template = other.template(dialect)
                raise RoutingFailure(
                    MethodNotAllowed(method=method, allow=_allow(place.routes)), style, template
                )
            route, dialect = found
            return route, Match(route.name, route.template(dialect), dialect, values)
        # Git and people build addresses of remotes by joining. No repository has an empty segment in its name, so
        # repeated slashes can only mean one.
        return self._match_suffix(method, _SLASHES.sub(b"/", raw_path))

    def _find(self, segments: list[str]) -> tuple[_Place | None, dict[str, str]]:
        place, values = self._root, {}
        for segment in segments:
            if segment in place.children:
                place = place.children[segment]
            elif place.variable is not None and segment:
                values[place.variable[0]] = segment
                place = place.variable[1]
            else:
                return None, {}
        return (place if place.routes else None), values

    def _match_suffix(self, method: str, raw_path: bytes) -> tuple[Route, Match]:
        segments = split_path(raw_path)
        for suffix, routes in self._suffixes:
            values = _suffix_values(segments, suffix)
            if values is None:
                continue
            # A percent sign that escapes nothing stands for itself here: clients write names into remotes as they are.
            _check_text(raw_path, ErrorStyle.GIT)
            route = routes.get("GET" if method == "HEAD" else method)
            if route is None:
                other = next(iter(routes.values()))
                template = other.template(Dialect.GIT)
                raise RoutingFailure(
                    MethodNotAllowed(method=method, allow=_allow(routes)), other.errors, template
                )
            written = raw_path.lstrip(b"/").decode("utf-8", "replace").split("/")
            paths = ("/".join(parts[: -len(suffix)]) for parts in (segments, written))
            return route, Match(route.name, route.template(Dialect.GIT), Dialect.GIT, values, *paths)
        style = self._guess_style(segments)
        _check_escapes(raw_path, style)
        raise RoutingFailure(LfsNotServed() if style is ErrorStyle.LFS else PathUnknown(), style)

    def _guess_style(self, segments: list[str]) -> ErrorStyle:
        """Guess the error style of an unknown path.

        Clients read `result` wherever they send a commit to. Clients of CodeArts and of LFS know their own form only.
        """
        if ("info", "lfs") in pairwise(segments):
            return ErrorStyle.LFS
        if segments[0] in self._codearts_roots:
            return ErrorStyle.CODEARTS
        named = next((segment for segment in reversed(segments) if segment), "")
        return ErrorStyle.COMMIT_RESULT if named in self._result_names else ErrorStyle.PLAIN


def split_path(raw_path: bytes) -> list[str]:
    """Return the segments of a raw path, each decoded once. Slashes repeated at the start count as one.

    Elsewhere an empty segment stays: `/api/repos//branches` names no repository, least of all `branches`. Only in
    remotes do repeated slashes count as one everywhere, see `Router.match`. Bytes that are not UTF-8 become U+FFFD. The
    caller refuses such a path once it knows the style of the refusal.
    """
    path = raw_path.lstrip(b"/")
    if b"%" not in path:
        return path.decode("utf-8", "replace").split("/")
    return [unquote_to_bytes(segment).decode("utf-8", "replace") for segment in path.split(b"/")]


def _check_escapes(raw_path: bytes, style: ErrorStyle) -> None:
    if _BAD_ESCAPE.search(raw_path):
        raise RoutingFailure(PercentEscapeInvalid(), style)
    _check_text(raw_path, style)


def _check_text(raw_path: bytes, style: ErrorStyle) -> None:
    path = unquote_to_bytes(raw_path) if b"%" in raw_path else raw_path
    try:
        path.decode("utf-8")
    except UnicodeDecodeError:
        raise RoutingFailure(PathNotUtf8(), style) from None


def _other_version(segments: list[str]) -> str:
    if len(segments) < 3 or segments[0] != "api" or segments[1] == "v1":
        return ""
    return segments[1] if _VERSION_SEGMENT.match(segments[1]) else ""


def _choose(
    routes: Mapping[str, tuple[Route, Dialect]], method: str
) -> tuple[tuple[Route, Dialect] | None, ErrorStyle]:
    found = routes.get("GET" if method == "HEAD" else method)
    style = found[0].errors if found else next(iter(routes.values()))[0].errors
    return found, style


def _suffix_values(segments: list[str], suffix: tuple[str, ...]) -> dict[str, str] | None:
    """Return the values of the suffix's variables if `segments` end with the suffix and have more in front."""
    if len(segments) <= len(suffix):
        return None
    values = {}
    for segment, wanted in zip(segments[-len(suffix) :], suffix, strict=True):
        if wanted.startswith("{"):
            values[wanted.strip("{}")] = segment
        elif segment != wanted:
            return None
    return values


def _allow(routes: Mapping[str, object]) -> str:
    methods = set(routes) | ({"HEAD"} if "GET" in routes else set())
    return ", ".join(sorted(methods))

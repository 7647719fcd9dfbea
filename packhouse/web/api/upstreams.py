"""Upstreams: pull from one and detach from it (operations 10 and 6 of docs/reference/http-api.md)."""

import msgspec

from packhouse.operations.sync.detach_upstream import DetachUpstream, detach_upstream
from packhouse.operations.sync.pull_upstream import PullUpstream, pull_upstream
from packhouse.web.call import Call
from packhouse.web.json import AnyRef, Name
from packhouse.web.openapi.description import Description
from packhouse.web.routing.route import WRITE, changing, of_repo


class PullUpstreamBody(msgspec.Struct, frozen=True, kw_only=True):
    """`ref` limits the pull to one branch or tag. `after` is accepted and has no effect."""

    ref: AnyRef = ""
    after: str = ""


class UpstreamReply(msgspec.Struct, frozen=True, kw_only=True):
    """A sentence that tells what was done."""

    message: Name


async def post_pull(call: Call) -> UpstreamReply:
    """POST …/pull-upstream: queue a pull. A job does the work after the answer."""
    body = await call.read_body(PullUpstreamBody)
    await call.operate(pull_upstream, PullUpstream(call.caller.repo, body.ref or None))
    return UpstreamReply(message="Repository sync initiated successfully")


async def delete_base(call: Call) -> UpstreamReply:
    """DELETE …/base: detach the repository. A repeated request gets the same answer."""
    await call.operate(detach_upstream, DetachUpstream(call.caller.repo))
    return UpstreamReply(message="repository detached")


ROUTES = (
    changing(
        "pull_upstream",
        of_repo("pull-upstream"),
        post_pull,
        Description(
            "Pull from the upstream, in the background",
            body=PullUpstreamBody,
            status=202,
        ),
        scopes=WRITE,
        released_scope_status=403,
    ),
    changing(
        "detach_upstream",
        of_repo("base"),
        delete_base,
        Description("End the link to the upstream; branches and tags stay"),
        method="DELETE",
        scopes=WRITE,
    ),
)

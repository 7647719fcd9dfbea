"""git upload-pack: the pack that answers a fetch. Who may have what was checked before."""

from typing import Final

from packhouse.git.commands.environment import GitPlace
from packhouse.git.commands.process import GitProcess, spawn_git
from packhouse.git.commands.run import GitFailed

_CONFIG: Final = {
    "uploadpack.allowFilter": "true",
    # It takes a revision of the client's choosing, which our check of wants does not see.
    "uploadpackfilter.sparse:oid.allow": "false",
    # Wants were checked here; upload-pack must not add a rule of its own in protocol v0.
    "uploadpack.allowAnySHA1InWant": "true",
    "uploadpack.keepAlive": "5",
    "transfer.hideRefs": "refs/namespaces",
    # A delta cache of git's default size would dwarf every other bound of a small fetch.
    "pack.deltaCacheSize": "16m",
}


def start_upload_pack(place: GitPlace, *, namespace: str, version: int) -> GitProcess:
    """Start upload-pack for one request, which the caller feeds to it; its answer is for the client.

    The refs are those in the folder of the place; `namespace` is "" or the one whose refs alone are served. `version`
    is that of the protocol. Raises OSError when no process can be started.
    """
    config, environment = dict(_CONFIG), {}
    if namespace:
        environment["GIT_NAMESPACE"] = namespace
        del config["transfer.hideRefs"]
    if version:
        environment["GIT_PROTOCOL"] = f"version={version}"
    command = ("upload-pack", "--stateless-rpc", "--strict", str(place.git_dir))
    return spawn_git(place, *command, env=environment, config=config, large_pipes=True)


def upload_pack_failure(messages: str) -> GitFailed:
    """Return the failure of an upload-pack that wrote these messages."""
    return GitFailed("upload-pack", messages=messages)

"""git upload-pack: the pack that answers a fetch. Access was checked before."""

from typing import Final

from packhouse.git.commands.environment import GitPlace
from packhouse.git.commands.process import GitProcess, spawn_git
from packhouse.git.commands.run import GitFailed

_CONFIG: Final = {
    "uploadpack.allowFilter": "true",
    # This filter takes a revision that the client chooses, and our check of wants does not see it.
    "uploadpackfilter.sparse:oid.allow": "false",
    # The wants were checked by this server; in protocol v0 upload-pack must not add a rule of its own.
    "uploadpack.allowAnySHA1InWant": "true",
    "uploadpack.keepAlive": "5",
    "transfer.hideRefs": "refs/namespaces",
    # A delta cache of git's default size would be far larger than every other bound of a small fetch.
    "pack.deltaCacheSize": "16m",
}


def start_upload_pack(place: GitPlace, *, namespace: str, version: int) -> GitProcess:
    """Start upload-pack for one request. The caller feeds the request to it and sends its output to the client.

    The refs are those in the folder of the place. `namespace` is "", or the namespace whose refs alone are served.
    `version` is the version of the protocol. Raises OSError when no process can be started.
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

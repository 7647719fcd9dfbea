"""GET {remote}/info/refs: the refs that a client may fetch or push to; and the refusal of the dumb protocol."""

from starlette.responses import Response

from packhouse.errors import Code, Denied
from packhouse.git.wire import Service, protocol_version
from packhouse.operations.transport.advertise_fetch import AdvertiseFetch, advertise_fetch
from packhouse.operations.transport.advertise_push import AdvertisePush, advertise_push
from packhouse.web.call import Call
from packhouse.web.routing.route import of_remote
from packhouse.web.smart.answers import advertisement
from packhouse.web.smart.remote_path import authorise_remote

_SERVICES = {service.value: service for service in Service}

# What git asks for once a server has not answered in the smart protocol (gitprotocol-http(5), "Dumb Clients").
_DUMB_PATHS = ("/HEAD", "/objects/info/{file}", "/objects/pack/{file}", "/objects/{folder}/{file}")


class DumbProtocol(Denied):
    """The client asks for single files of a repository, as git's dumb protocol does."""

    code = Code.DUMB_PROTOCOL


async def info_refs(call: Call) -> Response:
    """GET {remote}/info/refs?service=git-upload-pack or git-receive-pack"""
    service = _SERVICES.get(call.wire.query_params.get("service", ""))
    if service is None:
        return await refuse_dumb(call)
    principal, remote = await authorise_remote(call, service)
    version = protocol_version(call.wire.headers.get("git-protocol", ""))
    if service is Service.UPLOAD_PACK:
        fetch = AdvertiseFetch(remote, version)
        return advertisement(service, await call.in_thread(advertise_fetch, call.node, principal, fetch))
    push = AdvertisePush(remote, version)
    return advertisement(service, await call.in_thread(advertise_push, call.node, principal, push))


async def refuse_dumb(_call: Call) -> Response:
    """Refuse every path of the dumb protocol. The answer is the same for all, so it needs no token."""
    raise DumbProtocol()


ROUTES = (
    of_remote("info_refs", "/info/refs", info_refs),
    *(of_remote("dumb_protocol", path, refuse_dumb) for path in _DUMB_PATHS),
)

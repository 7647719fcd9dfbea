"""Routes: finds the operation that a request calls."""

from packhouse.web.call import Call
from packhouse.web.pipeline.exchange import Exchange, Proceed, Stage
from packhouse.web.routing.router import Router, RoutingFailure


def find_route(router: Router) -> Stage:
    """Return the stage that finds the route of a request and makes its call. It raises the failures of the router."""

    async def stage(exchange: Exchange, proceed: Proceed) -> None:
        wire = exchange.wire
        try:
            route, match = router.match(wire.method, wire.raw_path)
        except RoutingFailure as failure:
            exchange.style, exchange.refused_path = failure.style, failure.template
            raise failure.error from None
        exchange.route, exchange.style = route, route.errors
        exchange.call = Call(wire, exchange.shared, match)
        await proceed(exchange)

    return stage

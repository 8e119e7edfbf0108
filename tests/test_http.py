"""The chain: the first middleware is outermost, and each may answer by itself."""

from __future__ import annotations

from voipstudio_cmb.auth.secret import Secret
from voipstudio_cmb.http import Call, Handler, Middleware, Request, Response, chain


async def test_the_first_middleware_is_outermost() -> None:
    order: list[str] = []

    def named(name: str) -> Middleware:
        # The second parameter's name is the middleware's own affair.
        async def middleware(request: Request, next_one: Handler) -> Response:
            order.append(f"{name} in")
            response = await next_one(request)
            order.append(f"{name} out")
            return response

        return middleware

    async def network(request: Request) -> Response:
        order.append("network")
        return Response(status=200)

    handler = chain(network, [named("a"), named("b")])
    assert (await handler(Request(method="GET", path="/ping"))).status == 200
    assert order == ["a in", "b in", "network", "b out", "a out"]


def test_a_request_describes_itself() -> None:
    assert Request(method="GET", path="/x").describe() == "GET /x"
    assert Request(method="GET", path="/x", page=3).describe() == "GET /x page 3"


def test_a_call_masks_with_every_token_that_it_had() -> None:
    call = Call()
    for number in range(3000):
        call.hide(Secret(f"token-{number:04}"))
    assert call.quote("token-0000 token-0007 token-2999 token-3000") == "*** *** *** token-3000"
    call.hide(call.secrets[0])
    assert len(call.secrets) == 3000

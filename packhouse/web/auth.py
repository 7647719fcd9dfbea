"""From the Authorization header to the principal."""

import base64
import binascii

from packhouse import limits
from packhouse.auth import Principal, Scope, TokenTooLarge
from packhouse.errors import Code, Unauthenticated
from packhouse.operations.tenants.authenticate import Authenticate, authenticate
from packhouse.operations.tenants.recall_principal import RecallPrincipal, recall_principal
from packhouse.web.call import Call
from packhouse.web.edge.wire_request import WireRequest

BASIC_CREDENTIALS_MAX_CHARS = 2 * limits.token_max_bytes
NO_PASSWORDS = ("", "x-oauth-basic")
"""Passwords beside a token that is given as the user name, as GitHub documents it."""

BEARER = "Bearer"
BASIC = "Basic or Bearer"


class TokenRequired(Unauthenticated):
    """The request has no Authorization header."""

    code = Code.TOKEN_REQUIRED


class SeveralAuthorizations(Unauthenticated):
    """The request has more than one Authorization header, and nothing tells which one counts."""

    code = Code.SEVERAL_AUTHORIZATIONS


class AuthorizationWithoutToken(Unauthenticated):
    """The Authorization header has another scheme, or no token behind the scheme."""

    code = Code.AUTHORIZATION_WITHOUT_TOKEN
    schemes: str


class BasicNotBase64(Unauthenticated):
    """The credentials are not base64 of UTF-8 (RFC 7617 section 2)."""

    code = Code.BASIC_NOT_BASE64


class PasswordRequired(Unauthenticated):
    """The Basic credentials have no password, or a blank one."""

    code = Code.PASSWORD_REQUIRED


async def authenticate_git(call: Call, scope: Scope) -> Principal:
    """Return the principal of a git request. The caller still has to check its repository.

    The token comes as Bearer, or in Basic credentials as the password or else as the user name. Raises Unauthenticated
    and Denied.
    """
    principal = await authenticate_token(call, read_token(call.wire, basic=True))
    principal.require_scope(scope)
    return principal


async def authenticate_token(call: Call, token: str) -> Principal:
    """Return the principal of the token, and note it in the call; raise Unauthenticated."""
    # A token seen before costs microseconds here, where a hop to a worker thread would cost a hundred.
    known = recall_principal(call.node, RecallPrincipal(token))
    if known is None:
        known = await call.in_thread(authenticate, call.node, Authenticate(token))
    call.principal = known
    return known


def read_token(wire: WireRequest, *, basic: bool = False) -> str:
    """Return the token of the Authorization header; raise Unauthenticated for an absent or malformed header.

    Scheme names are case-insensitive (RFC 9110 section 11.1). A token in the query is ignored.
    """
    given = wire.headers.getlist("authorization")
    if not given or not given[0].strip():
        raise TokenRequired()
    if len(given) > 1:
        raise SeveralAuthorizations()
    scheme, _, credentials = given[0].strip().partition(" ")
    credentials = credentials.strip()
    if scheme.lower() == "bearer" and credentials:
        return credentials
    if basic and scheme.lower() == "basic" and credentials:
        return _basic_token(credentials)
    raise AuthorizationWithoutToken(BASIC if basic else BEARER)


def _basic_token(credentials: str) -> str:
    """Return the token of Basic credentials (RFC 7617 section 2): the password, or the user name without a password.

    One line feed at the end belongs to the file that the password was read from. Beside a password the user name is
    ignored.
    """
    if len(credentials) > BASIC_CREDENTIALS_MAX_CHARS:
        raise TokenTooLarge()
    try:
        text = base64.b64decode(credentials, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise BasicNotBase64() from None
    user, colon, password = text.partition(":")
    password = password.removesuffix("\n")
    token = user if password in NO_PASSWORDS else password
    if not token or not colon:
        raise PasswordRequired()
    return token

"""Why a token is refused. No refusal contains any part of the token."""

from packhouse.errors import Code, Unauthenticated


class TokenRefused(Unauthenticated):
    """The token did not pass a check. The class says which one."""


class TokenTooLarge(TokenRefused):
    """The token is too long to be parsed."""

    code = Code.TOKEN_TOO_LARGE


class TokenNotInParts(TokenRefused):
    """The token does not have the compact form of RFC 7515 section 7.1."""

    code = Code.TOKEN_NOT_IN_PARTS


class TokenNotBase64url(TokenRefused):
    """A part of the token has characters outside the alphabet, or padding."""

    code = Code.TOKEN_NOT_BASE64URL


class TokenNotJson(TokenRefused):
    """The header or the claims are not JSON, or contain half a surrogate pair."""

    code = Code.TOKEN_NOT_JSON


class TokenNotAnObject(TokenRefused):
    """The header or the claims are another JSON value than an object."""

    code = Code.TOKEN_NOT_AN_OBJECT


class TokenAlgorithmUnknown(TokenRefused):
    """The header of the token names another algorithm, or none."""

    code = Code.TOKEN_ALGORITHM_UNKNOWN


class TokenHasCriticalExtensions(TokenRefused):
    """The header marks an extension as critical (RFC 7515 section 4.1.11). This server knows no extension."""

    code = Code.TOKEN_HAS_CRITICAL_EXTENSIONS


class TokenHasNoIssuer(TokenRefused):
    """The `iss` claim is absent or not text."""

    code = Code.TOKEN_HAS_NO_ISSUER


class TokenIssuerUnknown(TokenRefused):
    """No organisation has the name in `iss`."""

    code = Code.TOKEN_ISSUER_UNKNOWN


class TokenIssuerHasNoKey(TokenRefused):
    """The organisation has no active key of the type that `alg` names."""

    code = Code.TOKEN_ISSUER_HAS_NO_KEY


class TokenSignatureWrong(TokenRefused):
    """Another key signed the token, or somebody changed it."""

    code = Code.TOKEN_SIGNATURE_WRONG


class TokenHasNoExpiry(TokenRefused):
    """The `exp` claim is absent."""

    code = Code.TOKEN_HAS_NO_EXPIRY


class TokenNotYetValid(TokenRefused):
    """The `nbf` claim is in the future."""

    code = Code.TOKEN_NOT_YET_VALID


class TokenIssuedInFuture(TokenRefused):
    """The `iat` claim is in the future."""

    code = Code.TOKEN_ISSUED_IN_FUTURE


class TokenExpired(TokenRefused):
    """The `exp` claim is in the past."""

    code = Code.TOKEN_EXPIRED


class TokenTimeNotANumber(TokenRefused):
    """A time of the token is not a NumericDate (RFC 7519 section 2). The times are `exp`, `nbf` and `iat`."""

    code = Code.TOKEN_TIME_NOT_A_NUMBER


class TokenScopesMalformed(TokenRefused):
    """The `scopes` claim is absent or not a list."""

    code = Code.TOKEN_SCOPES_MALFORMED


class TokenRepoNotText(TokenRefused):
    """The `repo` claim is another JSON value than text."""

    code = Code.TOKEN_REPO_NOT_TEXT

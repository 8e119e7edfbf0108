"""What aiohttp raises, as errors of this package."""

from __future__ import annotations

import os

import aiohttp
from aiohttp.http_exceptions import ContentEncodingError, HttpProcessingError

from voipstudio_cmb.errors import (
    BadPayload,
    CallMeBackError,
    ClientMisuse,
    ConnectFailed,
    ConnectionLost,
    ProtocolFault,
    RequestTimeout,
    TLSFailed,
)

from .guards import _Dropped, _Unclean

# What aiohttp's calls raise, as measured: the last four families do escape from them.
_FAULTS = (
    _Dropped,
    _Unclean,
    aiohttp.ClientError,
    HttpProcessingError,
    OSError,
    ValueError,
    LookupError,
    RuntimeError,
)


def translate(error: BaseException) -> CallMeBackError:
    """The error of this package that stands for `error`, which aiohttp raised.

    Order matters: aiohttp's certificate errors are connector errors, and those are OS errors.
    """
    if isinstance(error, _Dropped):
        error = error.error
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(
        error,
        aiohttp.ClientConnectorCertificateError
        | aiohttp.ClientConnectorSSLError
        | aiohttp.ServerFingerprintMismatch,
    ):
        return TLSFailed(
            f"the server's certificate or TLS handshake was refused ({what}){_no_authorities()}"
        )
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return RequestTimeout("no connection within the connect timeout", phase="connect")
    if isinstance(error, aiohttp.ClientConnectorError):
        return ConnectFailed(f"no connection could be made ({what})")
    if isinstance(error, TimeoutError):
        return RequestTimeout("the server stopped sending", phase="read", sent="maybe")
    if isinstance(error, _Unclean):
        return ProtocolFault("the server sends responses before it is asked")
    if isinstance(error, aiohttp.InvalidURL):
        return ClientMisuse(f"no request can be sent to this URL ({what})")
    if isinstance(error, aiohttp.ClientResponseError | HttpProcessingError):
        return _not_http(error)
    if isinstance(error, aiohttp.ClientPayloadError):
        if "ContentEncodingError" in repr(error.__cause__) + str(error):
            return BadPayload(
                "the response's compressed body is damaged", sent="yes", retryable=True
            )
        return ConnectionLost("the connection broke within the response", sent="maybe")
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return ConnectionLost("the server closed the connection without a response", sent="maybe")
    if isinstance(error, ValueError | LookupError):
        return ProtocolFault(f"the response could not be read ({what})", sent="maybe")
    return ConnectionLost(f"the connection broke ({what})", sent="maybe")


def short_of_memory(error: BaseException) -> bool:
    """Whether aiohttp gave a connection up for want of memory: only a cause of `error` says so."""
    one: BaseException | None = error.error if isinstance(error, _Dropped) else error
    while one is not None and not isinstance(one, MemoryError):
        one = one.__cause__
    return one is not None


def _no_authorities() -> str:
    """What to know if there are no certificates to compare the server's with: OpenSSL is silent."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        if (path := os.environ.get(name)) and not os.access(path, os.R_OK):
            return f"; {name} names {path!r}, which can't be read: fix or unset it"
    return ""


def _not_http(error: BaseException) -> ProtocolFault:
    # Its text quotes what the peer sent, and its status is aiohttp's, not the server's.
    if isinstance(getattr(error.__cause__, "__cause__", None), ContentEncodingError):
        # A codec that is not installed, found missing before any of the body was read.
        text = "the response has an encoding that was not requested"
        return ProtocolFault(text, sent="maybe", retryable=False)
    return ProtocolFault("the response is not valid HTTP", sent="maybe")


def drop_frames(error: BaseException) -> None:
    """Takes the tracebacks off `error` and off all that it comes from.

    aiohttp keeps errors on its connections, and so, in a circle, the frames that hold the headers.
    """
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is not None and one.__traceback__ is not None:
            one.__traceback__ = None
            waiting += [one.__cause__, one.__context__]
            waiting += [one.error] if isinstance(one, _Dropped) else []

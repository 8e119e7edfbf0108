"""What aiohttp leaves to us of a decoded body: its cap, and gzip under its older name."""

from __future__ import annotations

import zlib

from voipstudio_cmb.errors import BadPayload, TooLarge


def too_large(cap: int) -> TooLarge:
    """The error of a response with more than `cap` bytes, decoded."""
    return TooLarge(
        f"the response is larger than {cap} bytes: use a smaller page_size=… or raise "
        "ClientConfig.max_body",
        sent="yes",
    )


def unzipped(body: bytes, cap: int) -> bytes:
    """What `body`, which is gzip, holds.

    Raises:
        BadPayload: it is damaged or cut short.
        TooLarge: it holds more than `cap` bytes; no more of them are unpacked.
    """
    plain = bytearray()
    while body:
        unpacking = zlib.decompressobj(wbits=31)
        try:
            plain += unpacking.decompress(body, cap + 1 - len(plain))
        except zlib.error:
            pass  # it has not come to its end, then
        if len(plain) > cap:
            raise too_large(cap)
        if not unpacking.eof:
            raise BadPayload(
                "the response's compressed body is damaged", sent="yes", retryable=True
            )
        body = unpacking.unused_data  # another member
    return bytes(plain)

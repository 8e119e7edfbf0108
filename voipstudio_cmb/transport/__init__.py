"""One attempt on the wire: the only folder of the client that knows aiohttp."""

from .guards import CleanRequest, send_once

__all__ = ["CleanRequest", "send_once"]

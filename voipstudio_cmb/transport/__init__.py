"""One attempt on the wire: the only folder of the client that knows aiohttp.

session.py   sends a request once; body.py reads the whole response
  │ aiohttp session           │ what it raises            │ what it hands on raw
  ▼                           ▼                           ▼
guards.py                   faults.py                   coding.py
no resend by aiohttp,       an error of this package,   gzip by its older name
no dirty connection         without aiohttp's frames
"""

from .guards import CleanRequest, OnceResponse

__all__ = ["CleanRequest", "OnceResponse"]

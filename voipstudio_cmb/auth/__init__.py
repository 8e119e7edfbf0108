"""Tokens and passwords, and where they come from.

    profile.py       finds a token and its base URL: environment, or the vendor's profile file
    credentials.py   makes headers of secrets: Token, Basic; fetches tokens: Login, TokenProvider
      │
      ▼ both
    secret.py        a text that shows itself in no repr, log or pickle

The stage `middleware.auth` adds the headers to each attempt, and fetches again after a 401.
"""

from .credentials import Basic, Login, TokenProvider, login

__all__ = ["Basic", "Login", "TokenProvider", "login"]

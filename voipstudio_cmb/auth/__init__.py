"""Who asks: tokens and passwords, and where they come from."""

from .credentials import Basic, Login, TokenProvider, login

__all__ = ["Basic", "Login", "TokenProvider", "login"]

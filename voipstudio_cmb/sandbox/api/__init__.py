"""What the API does with a request that the gate admitted.

::

    operations.py    the routes, one per operation; they read and change the tables of data/
    collections.py   lists: query parameters in, one page of rows out
    bodies.py        create and update: a request body in, the fields of a row out
    sessions.py      the routes of the account: who one is, logins, API tokens
    account.py       the user: the tokens and the id that the gate accepts
"""

from __future__ import annotations

from .account import Account
from .collections import collections_of
from .operations import Operations, json_response
from .sessions import Sessions

__all__ = ["Account", "Operations", "Sessions", "collections_of", "json_response"]

"""What the API does with a request that was let in.

```
account.py       the user: an id and a token, and the headers that are accepted
collections.py   lists: query parameters in, one page of rows out
bodies.py        creation and update: a request body in, the fields of a row out
operations.py    the routes, one for each operation, on top of the three above
```
"""

from __future__ import annotations

from .account import Account
from .collections import listings
from .operations import Operations, json_answer

__all__ = ["Account", "Operations", "json_answer", "listings"]

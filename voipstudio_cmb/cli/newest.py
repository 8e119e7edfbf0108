"""Whether `list` begins with the newest rows, and what it says of those that it did not print."""

from __future__ import annotations

from voipstudio_cmb.errors import ClientMisuse

_BY_DEFAULT = ("cdrs", "visitors")
"""The collections that grow, of which a person wants to see the end."""


def newest_first(
    resource: str, *, newest: bool, sort: str | None, descending: bool, every: bool, terminal: bool
) -> bool:
    """Whether the rows of `resource` with the highest ids come first, and only so many.

    So it is with `newest`; and by default for calls and visitors on a `terminal`, unless an order
    is named or `every` row is wanted.

    Raises:
        ClientMisuse: `newest` is given with one of those.
    """
    orders = {"--sort": sort is not None, "--desc": descending, "--all": every}
    given = [name for name, is_given in orders.items() if is_given]
    if newest and given:
        raise ClientMisuse(f"--newest is an order and a number of rows: leave out {given[0]}")
    return newest or (terminal and resource in _BY_DEFAULT and not given)


def more_note(limit: int, *, newest: bool) -> str:
    """What is said where there are more rows than the `limit` that was printed."""
    which = f"only the {'newest' if newest else 'first'} {limit} printed"
    return f"{which}; --limit N or --all for more"

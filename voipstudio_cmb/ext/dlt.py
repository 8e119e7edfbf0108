"""dlt: collections as tables, of which each run loads what has come since the last. Extra: `dlt`.

pipeline = dlt.pipeline("calls", destination="duckdb")
pipeline.run(source(CallMeBackClient(token)))
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal, get_args

import attrs
import dlt
from dlt.extract import DltResource, DltSource

from voipstudio_cmb.boundary.checks import checked_integer
from voipstudio_cmb.client import CallMeBackClient
from voipstudio_cmb.columns import Chosen, Column
from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.filters import Filter

Table = Literal["websites", "settings", "cdrs", "visitors"]
"""The collections that can be loaded. Buttons are none: the API gives them one at a time."""

# Rows of these are edited later, and say so nowhere: each run loads all of them.
_EDITED: tuple[Table, ...] = ("websites", "settings")


def source(
    client: CallMeBackClient | str,
    *,
    resources: Iterable[Table] = ("websites", "settings", "cdrs", "visitors"),
    columns: Chosen = "all",
    late: int = 0,
    size: int = 50_000,
) -> DltSource:
    """The dlt source `voipstudio` with a table for each of the `resources`.

    Cdrs and visitors are incremental by `id`, and merged by it: each run asks for ids above the
    highest that was loaded. With `late` it begins so many ids before it, for servers that show rows
    some time after those with higher ids; that takes dlt's merge, not its append. Websites and
    settings are loaded whole and replaced, because they can be edited.

    `client` is a token or a client; it is not used itself, each table is read by a client of its
    own as `Batches.to_reader` makes it. `columns` and `size` are those of `batches`. `created_at`
    is a timestamp without a zone, because the API does not say in which it is.

    Raises:
        ClientMisuse: an argument can't be used.
    """
    owner = CallMeBackClient(client) if isinstance(client, str) else client
    names: dict[Any, None] = dict.fromkeys([resources] if isinstance(resources, str) else resources)
    if not names or not {*names} <= {*get_args(Table)}:
        raise ClientMisuse(f"resources are some of {', '.join(get_args(Table))}")
    checked_integer("late", late, 0, None)

    @dlt.source(name="voipstudio")
    def voipstudio() -> list[DltResource]:
        return [_resource(owner, name, late, {"columns": columns, "size": size}) for name in names]

    return voipstudio()


def _resource(
    client: CallMeBackClient, name: Table, late: int, options: dict[str, Any]
) -> DltResource:
    collection = getattr(client, name)

    above = dlt.sources.incremental[int]("id", initial_value=0, lag=late)

    def rows(ids: Any = above) -> Iterator[Any]:
        return all_rows(Filter("id", "gt", max(0, ids.start_value)))

    def all_rows(filters: Filter | None = None) -> Iterator[Any]:
        # A destination can't change the type of a column that it has.
        state = dlt.current.resource_state(name)
        known = [Column(**column) for column in state.get("columns", ())]
        with collection.batches(filters=filters, known=known, **options).to_reader() as reader:
            state["columns"] = [attrs.asdict(column) for column in reader.columns]
            yield from reader

    edited = name in _EDITED
    made: DltResource = dlt.resource(
        all_rows if edited else rows,
        name=name,
        primary_key="id",
        write_disposition="replace" if edited else "merge",
        # Without it dlt takes the times for those of UTC. It warns that Arrow's hints differ.
        columns={"created_at": {"data_type": "timestamp", "timezone": False}},
    )
    return made

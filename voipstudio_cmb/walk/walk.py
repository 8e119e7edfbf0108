"""What a caller holds of a walk over a collection, and what all kinds of walks share."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Self, TypeVar

from voipstudio_cmb.boundary.text import html_table
from voipstudio_cmb.boundary.value import State, field
from voipstudio_cmb.errors import ClientMisuse

from .cursor import is_resumable

T = TypeVar("T")


class Progress(State, kw_only=True):
    """How far a walk has come."""

    seen: int = 0
    """Records that were received and are new; some may not have been handed out yet."""
    pages: int = 0
    """Pages with such records."""
    requests: int = 0
    """Calls so far."""
    total: int | None = None
    """What the server claimed last, or None. A keyset walk reads it once, from its first page; one
    that was resumed knows only the total of what was left."""
    repaired: int = 0
    """Records that were found by reading pages again."""
    repeated: int = 0
    """Records that came again and were left out."""
    strategy: Literal["page", "keyset"] | None = None
    """How the collection is walked; None before that is known."""
    through: int | None = None
    """The highest id that existed at the beginning; None if the server has not shown it."""
    newest: Sequence[Any] = ()
    """What the rows with the highest ids gave for `created_at` at the beginning, in raw pages."""
    cached: str = ""
    """What says that a response came out of a cache, as the last such one does; "" if none does."""


class WalkState(State):
    """What a walk leaves behind, for its caller and for a later walk."""

    progress: Progress = field(default_factory=Progress)
    last: int | None = None
    """The id that was handed out last."""
    cursor: Callable[[int], str] | None = None
    """Gives the cursor behind the row with this id; None before the walk has begun."""
    interrupted: bool = False
    """Whether it ended by an error or a cancellation."""

    def settle(self) -> None:
        """Fixes the cursor of a walk that has ended, and lets go of the pages that it is from."""
        if self.cursor is not None:
            text = None if self.last is None else self.cursor(self.last)
            self.cursor = None if text is None else lambda last: text


class Walk(AsyncIterator[T]):
    """A walk over a collection, begun by iterating over it.

    `async for` gives its items in order. It owns the requests that it has in flight: they end when
    the iteration does, at the latest when the client closes; `async with` a walk (or `aclosing`)
    ends them at once also where the iteration is left early. One task can iterate over it, once,
    and no other can end it before that task has ended.
    """

    def __init__(
        self,
        items: Callable[[WalkState], AsyncGenerator[T]],
        began: str | None = None,
        asked: Callable[[], Mapping[str, object]] = dict,
    ) -> None:
        self._began = began
        self._asked = asked
        self._state = WalkState()
        self.progress: Progress = self._state.progress
        self._make = items
        self._items: AsyncGenerator[T] | None = None
        # Weakly, or it and this walk would keep each other alive once it has failed.
        self._consumer: weakref.ref[asyncio.Task[Any]] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.progress}>"

    def _repr_html_(self) -> str:
        begun = "ended" if self._has_ended() else "begun" if self._items else "nothing is sent yet"
        known = {name: value for name, value in self.progress.to_dict().items() if value}
        shown = {**self._asked(), "state": begun, **known}
        return html_table((type(self).__name__, ""), shown.items())

    @property
    def cursor(self) -> str | None:
        """Where the walk is: behind the record, or page, that was handed out last.

        A short text to keep. `list(cursor=walk.cursor)` with the same filters resumes there,
        without loss or repetition, and ends where this walk would have ended. For rows that were
        added since, filter by `where("id") > last`. None stands for the beginning.
        """
        state = self._state
        if state.last is None or state.cursor is None:
            return self._began
        return state.cursor(state.last)

    @property
    def resumable(self) -> bool:
        """Whether a walk can resume from `cursor`: not once rows came out of the order of ids."""
        return is_resumable(self.cursor)

    def _begun(self) -> AsyncGenerator[T]:
        if self._items is None:
            return self._begin()
        if self._state.interrupted:
            raise ClientMisuse(
                "this walk was interrupted by an error or a cancellation: to resume behind the "
                "record that came last, call list(cursor=walk.cursor)"
            )
        if self._consumer is None or self._consumer() is not asyncio.current_task():
            raise ClientMisuse(
                "another task iterates over this walk already: call list() once for each task"
            )
        return self._items

    def _begin(self) -> AsyncGenerator[T]:
        consumer = asyncio.current_task()
        self._items, self._loop = self._make(self._state), asyncio.get_running_loop()
        self._consumer = None if consumer is None else weakref.ref(consumer)
        return self._items

    def _has_ended(self) -> bool:
        """Whether it is exhausted or closed.

        Read from the generator, because `__aiter__` hands that out: a caller may close it before
        its first step, and then no code of ours runs that could take note of it.
        """
        return getattr(self._items, "ag_frame", self) is None

    def _check_consumer(self) -> None:
        """Raises `ClientMisuse` if another task, which is still running, iterates over it.

        And on another event loop than that of its requests, unless that is closed.
        """
        loop = self._loop
        if loop is None or loop.is_closed() or self._has_ended():
            return
        if loop is not asyncio.get_running_loop():
            raise ClientMisuse("this walk runs on another event loop: end it there")
        consumer = None if self._consumer is None else self._consumer()
        if consumer is None or consumer is asyncio.current_task():
            return
        if not consumer.done():
            raise ClientMisuse("another task iterates over this walk: call list() for each task")

    def __aiter__(self) -> AsyncIterator[T]:
        if self._has_ended() and not self._state.interrupted:
            raise ClientMisuse("this walk has ended: call list() or pages() again for another")
        # The generator itself, because a method of our own would cost a coroutine a record.
        return self._begun()

    def __anext__(self) -> Awaitable[T]:
        return self._begun().__anext__()

    if not TYPE_CHECKING:  # type checkers refuse these where they do not exist

        def __iter__(self) -> NoReturn:
            raise ClientMisuse(
                "a walk is asynchronous: write `async for item in walk:`, or `await "
                "walk.collect()` for a list; code that is not async reads "
                "`cmb.cdrs.batches().to_reader()`"
            )

        __next__ = __iter__

        def __await__(self) -> NoReturn:
            raise ClientMisuse(
                "a walk can't be awaited itself: write `async for item in walk:`, or `await "
                "walk.collect()` for a list, or `await walk.first()` for one item"
            )

        def __getitem__(self, at: object) -> NoReturn:
            raise ClientMisuse(
                "a walk has no index: write `await walk.first()` for the first item, or `await "
                "cmb.cdrs.list(limit=10).collect()` for the first 10"
            )

        def __len__(self) -> NoReturn:
            raise ClientMisuse(
                "a walk does not know how many items will come: write `len(await "
                "walk.collect())`, or `await cmb.cdrs.count()` for the server's total"
            )

    async def collect(self) -> list[T]:
        """All items as a list; `list(limit=10)` gives at most 10."""
        async with self:
            return [item async for item in self]

    async def first(self) -> T | None:
        """The first item, or None if there is none; ends the walk."""
        async with self:
            async for item in self:
                return item
        return None

    async def aclose(self) -> None:
        """Ends the walk; its requests in flight are cancelled and waited for.

        Raises:
            ClientMisuse: another task iterates over it, and is still running; or it runs on another
                event loop.
        """
        self._check_consumer()
        items = self._items or self._begin()
        try:
            await items.aclose()
        except RuntimeError:
            raise ClientMisuse(
                "another task waits for this walk's next item: end that task, or close the client"
            ) from None

    async def __aenter__(self) -> Self:
        self._check_consumer()
        return self

    async def __aexit__(self, kind: object, error: object, traceback: object) -> None:
        try:
            await self.aclose()
        except ClientMisuse:
            if error is None:  # which tells more, and may be a cancellation
                raise

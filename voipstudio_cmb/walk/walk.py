"""What a caller holds of a walk over a collection, and what all kinds of walks share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import attrs

from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.models import Identified, Page

T = TypeVar("T")
R = TypeVar("R", bound=Identified)


@attrs.define(kw_only=True)
class Progress:
    """How far a walk has come.

    *seen* records have been received and found new, *pages* with records, by *requests* calls;
    *total* is what the server last claimed, or None: by keyset once, with the first page, and where
    a walk goes on from a position by keyset, of what is left. *repaired* of the records were found
    by reading pages again, and *repeated* records came again, then too, and were left out.
    *strategy* is how the collection is walked, None before that is known. *upto* is the highest id
    that there was at the beginning, None if the server has not told it.
    """

    seen: int = 0
    pages: int = 0
    requests: int = 0
    total: int | None = None
    repaired: int = 0
    repeated: int = 0
    strategy: Literal["page", "keyset"] | None = None
    upto: int | None = None


@attrs.define(eq=False)
class WalkState:
    """What a walk leaves behind: its progress, the id handed out last, and how to go on there.

    *interrupted* is whether it ended by an error or a cancellation.
    """

    progress: Progress = attrs.field(factory=Progress)
    began: str | None = None
    last: int | None = None
    cursor: Callable[[int], str] | None = None
    interrupted: bool = False

    @contextmanager
    def walking(self) -> Iterator[None]:
        """Notes whether the walk, which happens within, is interrupted."""
        try:
            yield
        except GeneratorExit:
            raise  # it was left on purpose
        except BaseException:
            self.interrupted = True
            raise


async def flat(pages: AsyncGenerator[Page[R]], state: WalkState) -> AsyncGenerator[R]:
    """The records of *pages*, one by one."""
    with state.walking():
        async with aclosing(pages):
            async for page in pages:
                for record in page.records:
                    state.last = record.id
                    yield record


async def marked(pages: AsyncGenerator[Page[R]], state: WalkState) -> AsyncGenerator[Page[R]]:
    """The same *pages*, with the last id of each noted on the *trail*."""
    with state.walking():
        async with aclosing(pages):
            async for page in pages:
                state.last = page.records[-1].id
                yield page


class Walk(AsyncIterator[T]):
    """A walk over a collection, begun by iterating over it.

    `async for` gives its items in order. It owns the requests that it has in flight: they end when
    the iteration does, at the latest when the client closes; `async with` a walk (or `aclosing`)
    ends them at once also where the iteration is left early. One task can iterate over it, once,
    and no other can end it before that task has ended.
    """

    def __init__(
        self, items: Callable[[WalkState], AsyncGenerator[T]], began: str | None = None
    ) -> None:
        self._state = WalkState(began=began)
        self.progress: Progress = self._state.progress
        self._make = items
        self._items: AsyncGenerator[T] | None = None
        self._consumer: asyncio.Task[Any] | None = None

    def __repr__(self) -> str:
        return f"<Walk {self.progress}>"

    @property
    def cursor(self) -> str | None:
        """Where the walk is: behind the record, or page, that was handed out last.

        A short text to keep. `list(cursor=position)` with the same filters goes on from it, without
        loss or repetition; None stands for the beginning.
        """
        state = self._state
        if state.last is None or state.cursor is None:
            return state.began
        return state.cursor(state.last)

    @property
    def resumable(self) -> bool:
        """Whether `position` can be gone on from: not once rows came out of the order of ids."""
        return not (self.cursor or "").startswith("none:")

    def _begun(self) -> AsyncGenerator[T]:
        consumer = asyncio.current_task()
        if self._items is None:
            self._items, self._consumer = self._make(self._state), consumer
        elif self._state.interrupted:
            raise ClientMisuse(
                "this walk was interrupted by an error or a cancellation: to go on behind the "
                "record that came last, call list(cursor=walk.cursor)"
            )
        elif consumer is not self._consumer:
            raise ClientMisuse(
                "another task iterates over this walk already: call list() once for each task"
            )
        return self._items

    @property
    def _ended(self) -> bool:
        """Whether it is exhausted or closed."""
        return getattr(self._items, "ag_frame", self) is None

    def _not_anothers(self) -> None:
        """Raises `ClientMisuse` if a task that is still running iterates over it, but this one."""
        consumer = self._consumer
        if self._ended or consumer in (None, asyncio.current_task()):
            return
        if consumer is not None and not consumer.done():
            raise ClientMisuse("another task iterates over this walk: call list() for each task")

    def __aiter__(self) -> AsyncIterator[T]:
        if self._ended and not self._state.interrupted:
            raise ClientMisuse("this walk has ended: call list() or pages() again for another")
        # The generator itself, because a method of our own would cost a coroutine a record.
        return self._begun()

    def __anext__(self) -> Awaitable[T]:
        return self._begun().__anext__()

    async def collect(self, max: int | None = None) -> list[T]:
        """The items as a list: all of them, or the first *max*."""
        if max is not None and (isinstance(max, bool) or not isinstance(max, int) or max < 0):
            raise ClientMisuse(f"collect: max must be an integer of at least 0, not {max!r}")
        found: list[T] = []
        async with self:
            if max == 0:
                return found
            async for item in self:
                found.append(item)
                if len(found) == max:
                    break
        return found

    async def first(self) -> T | None:
        """The first item, or None if there is none."""
        return next(iter(await self.collect(max=1)), None)

    async def aclose(self) -> None:
        """Ends the walk; its requests in flight are cancelled and waited for.

        Raises:
            ClientMisuse: another task iterates over it, and is still running.
        """
        self._not_anothers()
        if self._items is None:
            self._items, self._consumer = self._make(self._state), asyncio.current_task()
        try:
            await self._items.aclose()
        except RuntimeError:
            raise ClientMisuse(
                "another task waits for this walk's next item: end that task, or close the client"
            ) from None

    async def __aenter__(self) -> Self:
        self._not_anothers()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self.aclose()
        except ClientMisuse:
            if error is None:  # which tells more, and may be a cancellation
                raise

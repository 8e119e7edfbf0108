"""`pull`: a document of what there is."""

from __future__ import annotations

from collections.abc import Iterable

from voipstudio_cmb.client import CallMeBackClient


async def pull(client: CallMeBackClient, ids: Iterable[int] = (), *, account: str = "") -> str:
    """A document of the settings with these `ids`, or of all, and of the buttons that they use.

    With `account` its sections are those of `[accounts.NAME]`; several of them make one document.
    Attributes that the API sends in an unknown form are left out.

    Raises:
        NotFound: there is no setting with one of the `ids`.
        CallMeBackError: the account can't be read.
    """
    raise NotImplementedError

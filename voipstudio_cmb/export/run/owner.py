"""Whose the rows of an export are, and whether what it continues is theirs too."""

from __future__ import annotations

from voipstudio_cmb.client import CallMeBackClient
from voipstudio_cmb.errors import CallMeBackError, ClientMisuse, RequestTimeout
from voipstudio_cmb.export.plan.preflight import Preflight


async def checked_owner(client: CallMeBackClient, preflight: Preflight) -> str:
    """The identity of the account of `client`, whose the files must be that are continued.

    Raises:
        ClientMisuse: they are another account's.
        CallMeBackError: only `GET /me` can tell, and it fails for now; or the token was refused, or
            no server was reached.
    """
    failure: CallMeBackError | None = None
    for wait in (False, True):  # at first, as most exports can do without
        names, failure = await client.identities(wait=wait)
        if failure is not None and failure.sent == "no":
            raise failure  # no other request would fare better, and all would say the same
        try:
            preflight.check_owner(*names)
            return names[0]
        except ClientMisuse:
            if failure is None or not (failure.retryable or isinstance(failure, RequestTimeout)):
                raise
    assert failure is not None
    raise failure.with_detail("without it nobody knows whether the files are this account's")

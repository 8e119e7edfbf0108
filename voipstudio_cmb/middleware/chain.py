"""The standard chain between a service and the wire, and why it stands in this order."""

from __future__ import annotations

from collections.abc import Iterable

from voipstudio_cmb.http import Middleware
from voipstudio_cmb.retry import RetryBudget, RetryPolicy

from .auth import Auth
from .deadline import Deadline
from .limit import Limit
from .observe import Observe
from .retry import Retry
from .status import check_status


def standard(
    *,
    observe: Observe,
    auth: Auth,
    policy: RetryPolicy,
    budget: RetryBudget,
    deadline: Deadline,
    limit: Limit,
    patience: Middleware | None = None,
    middlewares: Iterable[Middleware] = (),
) -> tuple[Middleware, ...]:
    """The standard chain, outermost first, each stage with what it guarantees."""
    return (
        *(() if patience is None else (patience,)),  # what fails while the API is away, waits
        observe,  # one event for a call, with its attempts, waits and outcome
        deadline,  # no wait of any stage below outlasts the call's deadline
        Retry(policy, budget, observe),  # an error leaves only if it may not or need not be retried
        check_status,  # no stage above sees a bad status or an unparsed body
        *middlewares,  # the user's: each attempt passes, before its turn and without the token
        limit,  # each attempt takes its own turn, or retries would break the limit; a 429 holds all
        auth,  # each attempt carries the newest token; a 401 renews it once for all calls
    )

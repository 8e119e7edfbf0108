"""The chain between a service and the wire, and why it stands in this order.

Outermost first:

    observe    one event for a call, with its attempts, waits and outcome
    deadline   the time bound of the whole call; no wait inside may pass it
    retry      decides on error types; its budget is the client's
    raising    statuses and payload faults become errors, so that retry never looks at numbers
    (yours)    `middlewares=` of the client: once for each attempt, whole answers of any status,
               before a turn is taken and without the token in sight
    limit      every attempt takes its own turn, or retries would break the limit; a 429 holds all
    auth       every attempt carries the newest token; a 401 renews it once for everybody

and then the session, which is one attempt.
"""

from __future__ import annotations

from collections.abc import Iterable

from voipstudio_cmb.events import OnEvent, Usage
from voipstudio_cmb.http import Middleware
from voipstudio_cmb.retry import Budget, RetryPolicy

from .auth import Auth
from .deadline import Deadline
from .limit import Limit
from .observe import Observe
from .retry import Retry
from .status import check_status

# It began while this turn was waited for, so this turn is spent for nothing.


def standard(
    *,
    auth: Auth,
    policy: RetryPolicy,
    budget: Budget,
    deadline: Deadline,
    limit: Limit,
    on_event: OnEvent | None = None,
    usage: Usage | None = None,
    middlewares: Iterable[Middleware] = (),
) -> tuple[Middleware, ...]:
    """The standard chain, outermost first; the module's docstring says why in this order."""
    return (
        Observe(on_event, usage or Usage()),
        deadline,
        Retry(policy, budget),
        check_status,
        *middlewares,
        limit,
        auth,
    )

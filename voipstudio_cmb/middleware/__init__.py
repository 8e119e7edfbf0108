"""The stages that a request passes between a service and the wire, each a middleware.

    service
      │ Request            ▲ Response or error
      ▼                    │
    observe    events, logs and usage of the call and its attempts
    deadline   ends the whole call in time, or when the client is closed
    retry      sends again after an error, as the policy and the budget allow
    status     makes errors of bad statuses and bodies, parses good ones
    (yours)    `middlewares=` of the client
    limit      waits for the limiter, and for the pauses of throttle.py: after a 429, after a 503
               that may be one or asks for one by Retry-After, after what is not HTTP; again where
               one began while the request waited for a connection
    auth       adds the token, renews it after a 401
      │                    ▲
      ▼                    │
    transport.session      one attempt on the wire

`chain.py` says why in this order. One of your own is an async function `(request, handler)` that
returns `await handler(request)`; it is called for each attempt, and sees responses of any status.
"""

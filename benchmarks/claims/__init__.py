"""Claims about cost, each beside what users would otherwise use: the guide `costs`, by topic.

    parsing   the bytes of a page become typed records; beside orjson, cattrs, pydantic, openai
    calls     one call, alone and 32 in flight; beside aiohttp, aiohttp_retry, azure-core, openai
    pagers    a walk over 100 pages; beside the least time, and other clients' pagers
    memory    a walk over a million rows beside one over 10,000
    limiter   how much of an allowance is used, and the 429s; beside aiolimiter
    startup   the import of the client, and `--help`; beside aiohttp, openai, stripe, azure-core
    exports   CPU a row into each format; beside plain scripts, dlt, Singer, DuckDB, polars
    growth    what a row costs in a walk over a million rows beside one over a thousand
    crowds    what one of thousands of calls, waiters or accounts costs, beside one of few

Each has a `claims(quick)`, which yields `Claim`s of benchmarks/harness/claim.py.
"""

TOPICS = (
    "parsing", "calls", "pagers", "memory", "limiter", "startup", "exports", "growth", "crowds"
)  # fmt: skip

"""Campaigns: long proofs of what is guaranteed, each a command of its own, from random numbers.

    faults         a walk loses no row and a POST is made once, whatever goes wrong on the wire
    fuzz           no bytes get past the documented exceptions, hang the client or make it grow
    timeouts       no call outlives its deadline, and no response fills the memory
    outage         an outage is not met with a flood of requests
    limiter        an allowance is used up, and never exceeded
    allowance      so is one that processes share; it needs redis-server
    throttle       a limit that nobody has told is found, and refusals without a reason cost little
    model          a walk keeps its contract over a table that changes
    walk_speed     8 requests in flight make a walk 8 times as fast
    instructions   a call takes no more instructions of the processor than it took
    memory         a long walk needs no more memory than a short one
    exports        an export of a million rows takes a bounded memory
    accounts       many accounts are exported in little memory, and begin in turn
    kills          an export killed at random times, over sockets, ends with the right file
    cluster        so do the exports of Dask's workers, whoever of them is killed
    soak           a client at full speed for long leaves nothing over and needs no more memory
    chains         nightly exports bring every row once, through days of changes and interruptions
    crash_points   an export killed at each single step ends with the right files
    crash_states   so does one after a power cut, whatever the disk has kept of its steps

`python -m benchmarks.campaigns.NAME --help` explains each.
"""

CAMPAIGNS = (
    "faults", "fuzz", "timeouts", "outage", "limiter", "allowance", "throttle", "model",
    "walk_speed", "instructions", "memory", "exports", "accounts", "kills", "cluster", "soak",
    "chains", "crash_points", "crash_states",
)  # fmt: skip

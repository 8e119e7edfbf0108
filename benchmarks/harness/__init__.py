"""What claims, campaigns and tests share; it imports nothing from them.

claim        a claim, its rounds, and the table        commands     command lines of campaigns
clocks       event loops whose waits take no time      workers      many jobs, a few at once
processes    work in a process of its own              memory       how much a process holds
disks        disks that count, fail or are full

loopback/    the guard that keeps all of it, and its child processes, on this machine

peer         a raw HTTP server, which can say anything on the wire
  tables       large collections at a peer in another process
  rate_limits  servers that enforce an allowance, and clients measured against it
  throttling   clients that know no limit, at servers that refuse, on virtual time
responses    responses for handlers without a network
  offline      an account in memory, for exports
  walk_model/  a server answered step by step, and the contract of a walk

walks        the ways to walk, and the least time that one takes
  walk_memory  a walk in a process of its own, and the memory that it holds
"""

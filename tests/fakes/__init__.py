"""What tests put in place of a network, an account or a user; it imports no test.

A test takes the lowest layer that shows what it is about:

handlers      a handler that follows a script, and the chain before it   below it: no network
  collections handlers that serve a collection, each with habits      below it: no network
sockets       a server on a loopback port, scripted byte by byte      below it: benchmarks.harness
clients       clients that do not wait, for either of them
  secrets     a token, and where it could leak
exports       exports of an account in memory                         below it: benchmarks.harness
commands      the command line, in this process or in another
plain_client  requests to the sandbox without the package

Clocks, disks, responses and the account in memory are in `benchmarks.harness`. A server that
follows the API's documentation is `voipstudio_cmb.sandbox`.
"""

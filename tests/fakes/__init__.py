"""What tests put in place of a network, an account or a user; it imports no test.

handlers      a handler that follows a script, and the standard chain before one
  collections handlers that serve a collection, each with its habits
sockets       a server on a loopback port, scripted byte by byte, on `benchmarks.harness.peer`
  clients     clients that do not wait, for servers that fail
  mock_server a server made from an OpenAPI description and its examples alone
nginx         a real proxy in front of a server
secrets       a token, and all the texts where it could leak
exports       exports of an account in memory, undisturbed or interrupted
system_calls  calls to the operating system that fail
commands      the command line, in this process or in one of its own
plain_client  requests to the sandbox without the package's client

A test takes the highest of them that shows what it is about: a handler is faster than a socket.
Clocks, disks, responses and the account in memory are in `benchmarks.harness`. A server that
follows the API's documentation is `voipstudio_cmb.sandbox`.
"""

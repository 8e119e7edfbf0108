"""The guard itself. Python imports it when it starts, in every process that inherits PYTHONPATH.

It imports nothing that Python has not imported by then, because processes are timed.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))
RULE = "tests, claims and campaigns never leave loopback"
# The unspecified addresses are this machine too.
_NAMES = frozenset({"", "localhost", "0.0.0.0", "::", "::1"})
_CONNECTING = ("connect", "connect_ex", "sendto", "sendmsg")
_guarded: set[str] = set()


class LeavesLoopback(RuntimeError):
    """Something was about to speak to another machine. No `OSError`, or it would be retried."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{RULE}: {what}")


def _check_host(host: Any) -> None:
    if isinstance(host, (bytes, bytearray)):
        host = host.decode("ascii", "replace")
    if not isinstance(host, str):  # None is this machine; a number is no IP address
        return
    name = host.lower().removeprefix("::ffff:")
    is_address = name.startswith("127.") and name.replace(".", "").isdigit()
    if name not in _NAMES and not is_address:
        raise LeavesLoopback(f"{host!r} was asked for; serve it on 127.0.0.1")


def _check_address(address: Any) -> None:
    if isinstance(address, tuple):  # the address of a Unix socket is a path
        _check_host(address[0])


def _check_child(command: Any, env: Any) -> None:
    path = os.environ.get("PYTHONPATH", "") if env is None else env.get("PYTHONPATH", "")
    alone = command[0] == sys.executable and not {"-E", "-I", "-S"}.isdisjoint(command)
    if alone or HERE not in path.split(os.pathsep):
        raise LeavesLoopback(f"{command!r} was to run without the guard; keep its PYTHONPATH")


def _guard_names() -> None:
    # `_socket` looks a name up before it tells of it, so names are looked at before that.
    _guarded.update(_CONNECTING)
    socket = sys.modules["socket"].socket

    def checked(method: Callable[..., Any]) -> Callable[..., Any]:
        def check_first(sock: Any, *arguments: Any) -> Any:
            for each in arguments:
                _check_address(each)
            return method(sock, *arguments)

        return check_first

    for name in _CONNECTING:
        setattr(socket, name, checked(getattr(socket, name)))


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "subprocess.Popen":
        _check_child(arguments[1], arguments[3])
    elif event in ("os.exec", "os.posix_spawn"):
        _check_child(arguments[1], arguments[2])
    elif event.startswith("socket."):
        if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            _check_address(arguments[1])
        elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
            _check_host(arguments[0])
        elif event == "socket.getnameinfo":
            _check_address(arguments[0])
        elif event == "socket.__new__" and not _guarded and "socket" in sys.modules:
            _guard_names()


sys.addaudithook(_hook)

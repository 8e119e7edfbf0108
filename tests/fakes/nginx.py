"""nginx in front of a server on loopback, as a process of its own while a block runs."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import attrs
import pytest

CONFIG = """
daemon off;
master_process off;
pid {directory}/pid;
error_log {directory}/error.log;
events {{ }}
http {{
    log_format facts "$request_method $status $sent_http_content_encoding";
    access_log {directory}/access.log facts;
    client_body_temp_path {directory}/client;
    proxy_temp_path {directory}/proxied;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    gzip on;
    gzip_proxied any;
    gzip_types application/json;
    proxy_connect_timeout 1s;
    proxy_send_timeout 1s;
    proxy_read_timeout 1s;
    limit_req_zone $binary_remote_addr zone=all:1m rate={rate}r/s;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            limit_req zone=all burst=4 nodelay;
            proxy_pass http://{upstream};
        }}
    }}
}}
"""


@attrs.frozen
class Nginx:
    """A running nginx."""

    base_url: str
    """Where it serves what the server behind it serves."""
    _log: Path

    def responses(self) -> Counter[str]:
        """Returns how many responses it has given to each method, with which status and encoding.

        `"GET 200 gzip"`, or `"POST 503 -"`.
        """
        return Counter(self._log.read_text().splitlines())


@contextmanager
def nginx(base_url: str, directory: Path, rate: int) -> Iterator[Nginx]:
    """Runs nginx in front of `base_url`, with gzip, time-outs of a second, and a rate limit.

    It refuses more than `rate` requests a second with 503, as it does unless it is told otherwise.
    """
    program = shutil.which("nginx", path=os.pathsep.join([os.environ["PATH"], "/usr/sbin"]))
    if program is None:
        pytest.fail("nginx is not installed: .ci/run brings it, or leave out -m proxy")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = urlsplit(base_url)
    config = directory / "nginx.conf"
    config.write_text(
        CONFIG.format(directory=directory, port=port, upstream=where.netloc, rate=rate)
    )
    command = [program, "-p", directory, "-e", directory / "error.log", "-c", config]
    with subprocess.Popen(command) as process:
        try:
            _wait_for(port, process)
            yield Nginx(f"http://127.0.0.1:{port}{where.path}", directory / "access.log")
        finally:
            process.terminate()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.01)
    pytest.fail(f"nginx has ended with {process.returncode}")

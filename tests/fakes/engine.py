"""Runs shards as engines do: each in a process, which may be killed, until all are complete."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from voipstudio_cmb.exit_codes import RESUMABLE

WORKER = [
    sys.executable,
    "-c",
    "import asyncio, json, sys; from voipstudio_cmb.export import export_shard;"
    "print(json.dumps(asyncio.run(export_shard(json.loads(sys.argv[1])))))",
]


@attrs.define
class Engine:
    """Three workers at a time, each a process for one shard, of which some are killed.

    `variables` gives those of the next worker, beside the ones that are set.
    """

    draw: random.Random
    kills: int
    left: list[dict[str, Any]]
    variables: Callable[[], Mapping[str, str]] = dict
    states: Counter[str] = attrs.field(factory=Counter)
    running: list[tuple[dict[str, Any], Any, float]] = attrs.field(factory=list)

    def run(self) -> None:
        """Runs all shards, and those again that were killed or told so."""
        while self.left or self.running:
            while self.left and len(self.running) < 3:
                self._start(self.left.pop(0))
            for each in self.running.copy():
                self._look_at(*each)
            time.sleep(0.005)

    def _start(self, shard: dict[str, Any]) -> None:
        command, env = [*WORKER, json.dumps(shard)], {**os.environ, **self.variables()}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, env=env)
        lives = self.draw.uniform(0.3, 1.6) if self.draw.random() < 0.7 else 60.0
        self.running.append((shard, process, time.monotonic() + lives))

    def _look_at(self, shard: dict[str, Any], process: Any, ends: float) -> None:
        if process.poll() is None and self.kills and time.monotonic() > ends:
            process.kill()
            process.wait()
        if process.poll() is None:
            return
        self.running.remove((shard, process, ends))
        printed = process.stdout.read()
        process.stdout.close()
        self.kills -= not printed
        result = json.loads(printed) if printed else {"state": "killed", "exit_code": RESUMABLE}
        assert result["exit_code"] in (0, RESUMABLE), result
        self.states[result["state"]] += 1
        if result["exit_code"] or self.draw.random() < 0.2:  # as engines do at times
            self.left.append(shard)

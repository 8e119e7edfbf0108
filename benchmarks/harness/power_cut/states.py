"""The states that a power cut can leave after the first events of a recording.

Between two syncs of a directory each change of a name in it is kept or lost by itself, and a rename
can leave both names, but never neither. A file that was not synced holds what it held then, what it
holds now, or something between: fewer of the writes, half of the last one, zeros in place of what
was written last, or first (the size was kept, and the data were not), what was cut off.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import attrs

from benchmarks.harness.power_cut.recording import (
    Cut,
    Event,
    Made,
    ModeSet,
    Named,
    NamesSynced,
    Synced,
    Told,
    Wrote,
)

ALL_NAMES = 8
"""So many changes of names are tried in all combinations; of more, some are."""

ALL_CONTENTS = 48
"""So many combinations of contents are tried at one step; of more, some are."""


@attrs.frozen
class Variant:
    """What a file may hold. `data` is None for a directory."""

    data: bytes | None
    mode: int
    hash: bytes


@attrs.frozen(kw_only=True, eq=False)
class State:
    """What a power cut may leave: the names, and what each file has become."""

    step: int
    """How many events were before it."""
    names: Mapping[str, int]
    """The files by their names; two names can be one file's."""
    files: Mapping[int, Variant]
    """What they hold."""
    told: bool
    """Whether the caller had been told that all is complete."""

    def key(self) -> bytes:
        """The same for the same files with the same names."""
        first: dict[int, str] = {}
        lines = [
            f"{path}\0{first.setdefault(node, path)}\0".encode() + self.files[node].hash
            for path, node in sorted(self.names.items())
        ]
        return hashlib.sha256(b"\n".join(lines)).digest()

    def build(self, root: Path) -> None:
        """Makes it below the empty directory `root`."""
        first: dict[int, Path] = {}
        for name, node in sorted(self.names.items()):
            file, path = self.files[node], root / name
            if node in first:
                os.link(first[node], path)
            elif file.data is None:
                path.mkdir()
            else:
                path.write_bytes(file.data)
                path.chmod(file.mode)
            first.setdefault(node, path)


class _File:
    """One file: what is safe of it, and what was done to it since."""

    def __init__(self, made: Made) -> None:
        self.directory = made.directory
        self.data, self.mode = b"", made.mode
        self.pending: list[Wrote | Cut] = []
        self.modes = [made.mode]
        self._variants: list[Variant] | None = None

    def change(self, event: Wrote | Cut | ModeSet) -> None:
        if isinstance(event, ModeSet):
            self.modes.append(event.mode)
        else:
            self.pending.append(event)
        self._variants = None

    def sync(self) -> None:
        self.data, self.pending = _applied(self.data, self.pending), []
        self.modes = self.modes[-1:]
        self._variants = None

    def variants(self) -> list[Variant]:
        """What it may hold, with what it does hold last."""
        if self._variants is None:
            modes = list(dict.fromkeys(self.modes))
            contents = [None] if self.directory else self._contents()
            self._variants = [
                Variant(data, mode, hashlib.sha256(b"%d " % mode + (data or b"")).digest())
                for data in contents
                for mode in modes
            ]
        return self._variants

    def _contents(self) -> list[bytes]:
        done = self.pending
        now = _applied(self.data, done)
        found = [self.data]
        if done:
            found += [_applied(self.data, done[:-1]), _zeros(now, len(self.data))]
            found.append(_applied(self.data, [each for each in done if isinstance(each, Wrote)]))
        writes = [each for each in done if isinstance(each, Wrote)]
        if writes:
            first, last = writes[0], writes[-1]
            half = len(last.data) // 2
            torn = attrs.evolve(last, data=last.data[:half])
            found.append(_applied(self.data, [*(each for each in done if each is not last), torn]))
            found.append(_zeros(now, last.offset + half, last.offset + len(last.data)))
            found.append(_zeros(now, first.offset, first.offset + len(first.data)))
        return list(dict.fromkeys([*found, now][::-1]))[::-1]


def _applied(data: bytes, done: Iterable[Wrote | Cut]) -> bytes:
    held = bytearray(data)
    for event in done:
        if isinstance(event, Cut):
            del held[event.size :]
        else:
            held.extend(bytes(max(0, event.offset - len(held))))
            held[event.offset : event.offset + len(event.data)] = event.data
    return bytes(held)


def _zeros(data: bytes, start: int, end: int | None = None) -> bytes:
    """`data` with zeros from `start` to `end`."""
    end = len(data) if end is None else min(end, len(data))
    return data[:start] + bytes(max(0, end - start)) + data[max(start, end) :]


class PowerCuts:
    """All states of a recording, each once. What is chosen at random is chosen by `seed`.

    The syncs at the site `without` have not happened.
    """

    def __init__(self, events: Sequence[Event], seed: int = 1, without: str = "") -> None:
        self._events = events
        self._without = without
        self._draw = random.Random(seed)
        self._safe: dict[str, int] = {}
        self._pending: list[Named] = []
        self._files: dict[int, _File] = {}
        self._told = False
        self.seen: dict[tuple[bytes, bool], bool] = {}
        """The states, and whether a file system with an ordered journal could leave them too."""

    def states(self, begin: int) -> Iterator[State]:
        """The states after each event from number `begin` on; all before it is safe."""
        for step, event in enumerate(self._events):
            self._happened(event)
            if step + 1 == begin:
                self._settle()
            if step + 1 >= begin and not isinstance(event, Synced | NamesSynced | Made):
                yield from self._states(step + 1)

    def _settle(self) -> None:
        self._safe, self._pending = _named(self._safe, self._pending), []
        for file in self._files.values():
            file.sync()

    def _happened(self, event: Event) -> None:
        match event:
            case Made():
                self._files[event.node] = _File(event)
            case Named():
                self._pending.append(event)
            case Synced(site=site) | NamesSynced(site=site) if site == self._without:
                pass
            case Synced():
                self._files[event.node].sync()
            case NamesSynced():
                here = [each for each in self._pending if _directory(each.path) == event.path]
                self._safe = _named(self._safe, here)
                self._pending = [each for each in self._pending if each not in here]
            case Told():
                self._told = True
            case _:
                self._files[event.node].change(event)

    def _states(self, step: int) -> Iterator[State]:
        for kept, ordered in self._subsets():
            names = _named(self._safe, kept)
            names = {path: node for path, node in names.items() if _reachable(path, names)}
            nodes = list(dict.fromkeys(names.values()))
            for variants in self._contents(nodes):
                files = dict(zip(nodes, variants, strict=True))
                state = State(step=step, names=names, files=files, told=self._told)
                key = state.key(), state.told
                known = key in self.seen
                self.seen[key] = self.seen.get(key, False) or ordered
                if not known:
                    yield state

    def _subsets(self) -> Iterator[tuple[list[Named], bool]]:
        """Which changes of names are kept, and whether a journal could have kept just these."""
        count = len(self._pending)
        prefixes = [(1 << n) - 1 for n in range(count + 1)]
        masks: Iterable[int] = range(1 << count)
        if count > ALL_NAMES:
            whole = (1 << count) - 1
            ones = [1 << n for n in range(count)]
            drawn = [self._draw.randrange(whole) for _ in range(1 << ALL_NAMES)]
            masks = dict.fromkeys([*prefixes, *ones, *(whole - one for one in ones), *drawn])
        for mask in masks:
            kept = [each for n, each in enumerate(self._pending) if mask >> n & 1]
            lost = [each for n, each in enumerate(self._pending) if not mask >> n & 1]
            if any(each.renamed in lost for each in kept):
                continue  # it would have neither name
            split = any(each.renamed in kept for each in lost)
            yield kept, mask in prefixes and not split

    def _contents(self, nodes: Sequence[int]) -> Iterable[Sequence[Variant]]:
        each = [self._files[node].variants() for node in nodes]
        count = 1
        for variants in each:
            count *= len(variants)
        if count <= ALL_CONTENTS:
            return itertools.product(*each)
        chosen = [[variants[0] for variants in each], [variants[-1] for variants in each]]
        for n, variants in enumerate(each):
            chosen += [[*base[:n], one, *base[n + 1 :]] for base in chosen[:2] for one in variants]
        chosen += [[self._draw.choice(variants) for variants in each] for _ in range(ALL_CONTENTS)]
        return chosen


def _named(names: Mapping[str, int], changes: Iterable[Named]) -> dict[str, int]:
    now = dict(names)
    for change in changes:
        if change.node is None:
            now.pop(change.path, None)
        else:
            now[change.path] = change.node
    return now


def _directory(path: str) -> str:
    return str(Path(path).parent)


def _reachable(path: str, names: Mapping[str, int]) -> bool:
    above = _directory(path)
    return above == "." or (above in names and _reachable(above, names))

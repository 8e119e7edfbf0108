"""A strict parser of the text format in which Prometheus reads metrics."""

from __future__ import annotations

import re

NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"'
SAMPLE = re.compile(rf"({NAME})\{{({LABEL}(?:,{LABEL})*)\}} (-?[0-9]+(?:\.[0-9]+)?)")


def parse(text: str) -> dict[tuple[str, ...], float]:
    """The samples of *text* by name and values of labels; fails at whatever the format forbids."""
    assert text.endswith("\n")
    found: dict[tuple[str, ...], float] = {}
    family, seen = "", set()
    lines = iter(text[:-1].split("\n"))
    for line in lines:
        if head := re.fullmatch(rf"# HELP ({NAME}) [ -\[\]-~]+", line):
            family = head[1]
            assert next(lines) == f"# TYPE {family} gauge"
            assert family not in seen
            seen.add(family)
            continue
        sample = SAMPLE.fullmatch(line)
        assert sample, line
        assert sample[1] == family  # the samples of a metric stand below its head, and nowhere else
        labels = re.findall(LABEL, sample[2])
        assert len({name for name, _ in labels}) == len(labels)
        key = (family.removeprefix("voipstudio_cmb_export_"), *(value for _, value in labels))
        assert key not in found
        found[key] = float(line.rpartition(" ")[2])
    return found

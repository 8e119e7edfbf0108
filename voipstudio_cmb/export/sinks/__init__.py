"""Formats of files: each a `Sink`, which writes the rows of one export to one file.

    sink("csv", "gzip")  ->  Sink
                              |- JsonlSink      the rows as they came
                              |- CsvSink        cells as text, in CsvLines
                              |- SqliteSink   \\ typed columns, through `columns`,
                              `- ParquetSink  / what does not fit in `extra`

`compression` writes what the first two compress. Only `parquet` imports pyarrow, when it is used.
"""

from .base import Sink
from .compression import Compression
from .csv import CsvLines, CsvSink
from .formats import FORMATS, Format, sink
from .jsonl import JsonlSink
from .sqlite import SqliteSink

__all__ = [
    "FORMATS", "Compression", "CsvLines", "CsvSink", "Format", "JsonlSink", "Sink", "SqliteSink",
    "sink"
]  # fmt: skip

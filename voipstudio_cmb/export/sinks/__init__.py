"""Formats of files: each a `Sink`, which writes the rows of one export to one file.

    sink("csv", "gzip")  ->  Sink
                              |- JsonlSink      the rows as they came
                              |- CsvSink        cells as text, in CsvLines
                              |- SqliteSink   \\ typed columns, through `columns`,
                              `- ParquetSink  / what does not fit in `extra`

`compression` writes what the first two compress. Only `parquet` imports pyarrow, when it is used.
"""

"""Formats of files: each a `Sink`, which writes the rows of one export to one file.

    sink("csv", "gzip")  ->  Sink
                              |- JsonlSink      the rows as they came
                              |- CsvSink      \\
                              |- SqliteSink    | from the rows' `columns`; CSV has their text
                              `- ParquetSink  /

`compression` writes what the first two compress. Only `parquet` imports pyarrow, when it is used.
"""

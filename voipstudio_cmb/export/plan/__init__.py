"""What an export is to do: a `Plan` is a value, and names the files; `Preflight` looks at the disk.

Plan.files()        ->  OutputFile, each with an IdRange and perhaps LateRows
Preflight.states    ->  a State of each file: what earlier runs have left of it
"""

"""What an export is to do: a `Plan` is a value, and names the files; `Preflight` checks the disk.

Neither writes a file: for `since` a plan reads the manifest, and a preflight makes the directory.

Plan.files()        ->  OutputFile, each with its Share of the rows, of a Series where `since` asks
Preflight.states    ->  a State of each file: Fresh, Interrupted or Finished
"""

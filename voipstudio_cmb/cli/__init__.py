"""The command line `voipstudio-cmb`: one command a file.

    main                    arguments in, exit code out
     └─ commands            one a file, with its options
         ├─ export          chooses one of
         │   ├─ files       --to DIR: one account, or --accounts
         │   ├─ stream      --to -
         │   └─ dry_run     --dry-run
         ├─ list            rows as json, jsonl, csv, tsv or table: printers
         ├─ chart           counts of rows (tally) as bars, or as a page; of the API or exported
         └─ verify, get, create, update, delete, count, status, completion, sandbox

    parser       commands and values for click, and what is said of wrong ones
    options      options that commands share      clients     a client as the options ask for it
    progress     how far jobs are (arithmetic)    displays    shows that: bars, lines, events
    report       what became of an export
    terminal     messages, events, JSON           ext.rich    draws bars
    table        columns of text, aligned         layout      which columns a table shows
    period       `--from` and `--until`           follow      `--follow`
    stdio        standard output, written whole or an error, and standard error, which may be lost
    metrics      the last run, for Prometheus     logs        what a client does, for -v
    ending       what is done last of all

What a command was asked for are its `Arguments`.
"""

"""The command line `voipstudio-cmb`: one command a file.

    main                    arguments in, exit code out
     ├─ export              options; chooses one of
     │   ├─ files           --to DIR: one account, or --accounts
     │   ├─ stream          --to -
     │   └─ dry_run         --dry-run
     ├─ list ── printers    rows as json, jsonl, csv, tsv or table; layout: which columns
     └─ get, ping, sandbox

    options      options that commands share      clients     a client as the options ask for it
    progress     how far jobs are (arithmetic)    displays    shows that: bars, lines, events
    report       what became of an export         exit_codes  what that means for scripts
    terminal     messages, events, JSON           ext.rich    draws bars
    table        columns of text, aligned         period      `--from` and `--until`
    newest       which rows come first            follow      `--follow`
    stdio        standard output, written whole or an error, and standard error, which may be lost
    ending       what is done last of all

A command's file has `HELP`, `add_options(parser)` and `run(arguments)`, which returns the exit
code. It imports whatever is heavy inside `run`, so that `--help` answers at once.
"""

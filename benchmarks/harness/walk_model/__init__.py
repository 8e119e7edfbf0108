"""Walks over a table that changes meanwhile, answered in any order, held to their contract.

    machine      rules for hypothesis, which looks for a counter-example  \
    scenario     a random list of steps, which can be run again, shrunk    > simulation
                                                                          /
    simulation   one example, step by step: the table changes, requests are answered or fail
    client       the client and the consumer of its walks
    server       the model server: a table, pending requests, and how it answers
    contract     what a walk promises, checked while it runs and when it ends
"""

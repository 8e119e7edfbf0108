"""Walks over a table that changes, with responses in any order, held to their contract.

    machine      rules for hypothesis, which looks for a counter-example  \
    scenario     a random list of steps, which can be run again, shrunk    > simulation
                                                                          /
    simulation   one example, step by step: the table changes, responses come or fail
    client       the client and the consumer of its walks
    server       the model server: a table, pending requests, and its responses
    contract     what a walk promises, checked while it runs and when it ends
"""

"""Walks over a table that changes, with responses in any order, held to their contract.

    machine      rules for hypothesis, which looks for a counter-example  \
    scenario     a random list of steps, which can be run again, shrunk    > simulation
                                                                          /
    simulation   one example, step by step: the table changes, responses come or fail
    client       the client and the consumer of its walks
    server       the model server: pending requests, and its responses
    table        its rows, and a replica that is behind
    temper       what kind of server it is; habits: by name, and which of them walks withstand
    contract     what a walk promises, checked while it runs and when it ends
    excuses      when a row may be lost silently: only where the guide says so
"""

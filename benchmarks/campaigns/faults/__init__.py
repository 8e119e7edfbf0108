"""Thousands of schedules, each a client with its server and the faults between them.

__main__     one schedule after the other
  schedule   draws all of it from one number, runs it, and judges it
    operations   what the client does, and what each operation must return
    rules        when a call is retried, and how an attempt may end
    server       the rows, the faults, and what really happened
      kinds        the faults
"""

"""A client at full speed for long, against a sandbox that fails, expires tokens and restarts.

__main__   the work, and what it leaves: memory, objects, tasks, file descriptors
  server   the sandbox in a process of its own
"""

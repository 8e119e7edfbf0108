"""An export over a socket that is killed at random times.

__main__   one trial after the other: an export, killed and started again until it is done
  server   the sandbox in a process of its own; rows come and go, and it says which it has had
  checks   what the exported file must hold
"""

"""Bytes that no client expects, through the decoder and through a session.

__main__     all runs, with their time and their memory
  payloads     JSON through the decoder and the records, which must give it back
  columns      rows through the columns, which must hold all that they say
    rows         what they are
  responses    HTTP through a session over loopback
    generate     what is sent there: well-formed, and damaged
    findings     what was met, and what contradicts the claim
"""

"""Bytes that no client expects, through the decoder and through a session.

__main__     both runs, with their time and their memory
  payloads     JSON through the decoder and the records, which must give it back
  responses    HTTP through a session over loopback
    generate     what is sent: well-formed, and damaged
    findings     what was met, and what contradicts the claim
"""

"""What the API sends and takes, as values.

Page           pages.py      records or rows side by side, with the total that came along
  Record       records.py    typed fields; what was sent, read when it is asked for: sent.py
  Row, Reject  pages.py      the bytes of a row, and of one that can't be used
...Fields      payloads.py   what `create` and `update` take
"""

from __future__ import annotations

from .pages import Identified, Page, Reject, Row, Rows
from .payloads import ButtonFields, SettingFields
from .records import RECORDS, Button, Cdr, Record, Setting, Visitor, Website

__all__ = [
    "RECORDS",
    "Button",
    "ButtonFields",
    "Cdr",
    "Identified",
    "Page",
    "Record",
    "Reject",
    "Row",
    "Rows",
    "Setting",
    "SettingFields",
    "Visitor",
    "Website",
]

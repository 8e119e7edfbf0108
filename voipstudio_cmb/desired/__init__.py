"""Settings as code: a document says what is wanted, a plan what that changes, an apply does it.

    document = read("widgets.toml")
    found = await plan(client, document)      ->  Plan: its items, and `render(found)` for people
    await found.apply()                       ->  Outcome: what is done, and what is not

`pull` writes such a document of what there is. Which file does what:

    snapshot     pull
    planner      plan, Plan, SavedPlan; it reads the account by `remote`, and `run` applies it
    items        what one resource becomes: comparison without I/O
    document     read, Document; `checks` and `lines` find what is wrong in it, and where
    file         the file of a document; `edits` writes ids into its text
    forms        how each attribute is written, and how it comes back
    rendering    plans and outcomes as text for people
"""

from .document import Document, Part, Section, read
from .forms import Kind
from .items import Action, Item
from .planner import Plan, SavedPlan, plan
from .rendering import render, render_drift, render_outcome
from .run import Outcome, Result, State
from .snapshot import pull

__all__ = [
    "Action", "Document", "Item", "Kind", "Outcome", "Part", "Plan", "Result", "SavedPlan",
    "Section", "State", "plan", "pull", "read", "render", "render_drift", "render_outcome",
]  # fmt: skip

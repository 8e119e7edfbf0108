"""What becomes of one resource: a section of the document compared with what there is. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import attrs

from .forms import Kind

Action: TypeAlias = Literal["none", "create", "adopt", "update", "delete"]
"""What an apply does with a resource; an adoption may change attributes too."""


@attrs.frozen(kw_only=True)
class Item:
    """What a plan does with one resource."""

    kind: Kind
    local: str
    """Its name in the document; "" of one that only `managed` names."""
    id: int | None
    """Its id in the account; None if there is none yet."""
    action: Action
    changes: Mapping[str, tuple[Any, Any]] = attrs.field(factory=dict)
    """What each attribute is and becomes, in one form; of a creation the first is None."""
    incomparable: tuple[str, ...] = ()
    """Attributes that the API sends not at all or in an unknown form. An update leaves them."""
    reason: str = ""
    """Why, if that does not go without saying: "id 77 is gone"."""

"""The names of the five resources, light enough for the help of a command."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

Resource: TypeAlias = Literal["cdrs", "visitors", "websites", "settings", "buttons"]
"""The name of a resource, as the client and an export call it."""

RESOURCES: tuple[Resource, ...] = get_args(Resource)
"""All resources."""

COLLECTIONS: tuple[Resource, ...] = tuple(name for name in RESOURCES if name != "buttons")
"""Those that can be listed."""

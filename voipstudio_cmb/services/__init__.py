"""The five resources and their twelve operations, exactly those that the API documents.

A service is given a handler and knows nothing of what is behind it.
"""

from .collection import Collection
from .editable import Editable
from .resources import Buttons, Cdrs, Settings, Visitors, Websites

__all__ = ["Buttons", "Cdrs", "Collection", "Editable", "Settings", "Visitors", "Websites"]

"""Secrets that do not show themselves: in no repr, log, traceback or pickle."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable
from typing import NoReturn

from voipstudio_cmb.errors import ConfigError

_PRINTABLE = re.compile(r"[!-~]+", re.ASCII)


class HeaderSecret(str):
    """A header's value that its `repr` hides, and so do dicts, tracebacks and logs."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class Secret:
    """A token that does not show itself: not in `repr`, `str`, `attrs.asdict` or a pickle.

    Making one never raises, so that no traceback holds the bare token; `checked` does.
    """

    __slots__ = ("_reveal",)

    def __init__(self, value: object) -> None:
        # A closure, because tools that print an object's slots or locals do not look into one.
        self._reveal: Callable[[], object] = lambda: value

    def __repr__(self) -> str:
        return "Secret('***')"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a Secret can't be pickled or copied: read the token again where you need it"
        )

    def checked(self) -> Secret:
        """Itself, if it can be sent.

        Raises:
            ConfigError: it is no string, empty, or has characters that no header may carry.
        """
        self.checked_text("token")
        if not _PRINTABLE.fullmatch(self.header()):
            raise ConfigError(
                "the token contains white space, control or non-ASCII characters (a line end from "
                "a file?): strip it before passing it"
            )
        return self

    def checked_text(self, name: str) -> Secret:
        """Itself, if it is a text that is not empty; `name` is what errors call it.

        Raises:
            ConfigError: it is not.
        """
        if not isinstance(self._reveal(), str) or not self._reveal():
            raise ConfigError(f"the {name} is empty or not a string: pass the {name} itself")
        return self

    def header(self) -> HeaderSecret:
        """The token as the value of a header."""
        return HeaderSecret(self._reveal())

    def mask(self, text: str) -> str:
        """`text` with the secret replaced by ***: as it is, in base64, and as JSON may escape it.

        In any case of its letters, because a host name is lower-cased on its way.
        """
        plain = str(self.header())
        forms = {plain, b64encode(plain.encode()).decode().rstrip("="), plain.replace("/", "\\/")}
        for form in forms:
            if len(form) > 3:  # or every such letter of the text would be taken for the secret
                text = re.sub(re.escape(form), "***", text, flags=re.IGNORECASE)
        return text

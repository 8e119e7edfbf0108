"""Secrets that do not show themselves: in no repr, log, traceback or pickle."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NoReturn

from voipstudio_cmb.errors import ConfigError

from .mask import masked

_PRINTABLE = "[!-~]+"
_QUOTED = r"""(?s)(["']).*\1"""  # as by a shell, which is not what read it


class Secret:
    """A token that does not show itself: not in `repr`, `str`, `attrs.asdict` or a pickle.

    Making one never raises, so that no traceback holds the bare token; `checked` does. One that is
    made of another is the same.
    """

    __slots__ = ("_reread", "reveal")

    _reread: Callable[[], object] | None
    reveal: Callable[[], str]
    """Returns the plain text, "" if it was none. Pass on what it returns, and give it no name: a
    traceback with locals would show it."""

    def __init__(self, value: object, reread: Callable[[], object] | None = None) -> None:
        """`reread` reads it again where it is from, and returns no Secret if it can't."""
        # A method of the string, which is neither shown nor cut by tools that print an object's
        # slots, and has no frame whose variables they could print, as a closure has.
        if isinstance(value, Secret):
            self.reveal, self._reread = value.reveal, value._reread
        else:
            self._reread = reread
            self.reveal = (str.__str__(value) if isinstance(value, str) else "").__str__

    def __repr__(self) -> str:
        return "Secret('***')"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a Secret can't be pickled or copied: read the token again where you need it"
        )

    @property
    def may_change(self) -> bool:
        """Whether it may be another one where it is from."""
        return self._reread is not None

    def changed(self) -> Secret | None:
        """The secret that is now where it is from; None if it is the same, or none is there."""
        found = None if self._reread is None else self._reread()
        if not isinstance(found, Secret) or found.reveal() == self.reveal():
            return None
        try:
            return found.checked()
        except ConfigError:
            return None

    def checked(self) -> Secret:
        """Itself, if it can be sent.

        Raises:
            ConfigError: it is no string, empty, in quotes, or has characters that no header may
                carry.
        """
        self.checked_text("token")
        if re.fullmatch(_QUOTED, self.reveal()):
            raise ConfigError("the token has quotes around it: leave them out")
        if not re.fullmatch(_PRINTABLE, self.reveal()):
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
        if not self.reveal():
            raise ConfigError(f"the {name} is empty or not a string: pass the {name} itself")
        return self

    def mask(self, text: str) -> str:
        """`text` with *** wherever the secret stands in it, however it is spelt."""
        return masked(text, self.reveal)

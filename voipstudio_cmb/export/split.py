"""Which accounts each of several pods exports, without any of them knowing of the others."""

from __future__ import annotations

import hashlib
import re

import attrs

from voipstudio_cmb.auth.profile import Environment
from voipstudio_cmb.errors import ClientMisuse

INDEX_VARIABLE, COUNT_VARIABLE = "JOB_COMPLETION_INDEX", "JOB_COMPLETIONS"

_PART = re.compile(r"([1-9][0-9]{0,5})/([1-9][0-9]{0,5})", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,6}", re.ASCII)


@attrs.frozen
class Split:
    """Part `number`, counted from 1, of `count` parts of the accounts."""

    number: int
    count: int

    def takes(self, name: str) -> bool:
        """Whether the account `name` belongs to this part."""
        return _part(name, self.count) == self.number - 1


def _part(name: str, count: int) -> int:
    """The part, counted from 0, of `count` that the account `name` belongs to.

    A part has a directory, and maybe a disk, of which an account that moved would be exported from
    its beginning. So it depends on nothing but the name, and one part more takes from each of the
    others only its own share: the "jump consistent hash" of Lamping and Veach
    (https://arxiv.org/abs/1406.2294).
    """
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    part, following = 0, 0
    while following < count:
        part = following
        key = (key * 2862933555777941757 + 1) % 2**64
        following = (part + 1) * 2**31 // ((key >> 33) + 1)
    return part


def parse_split(text: str, env: Environment) -> Split:
    """The part that `text` names: "2/8", or "auto", of which a pod's environment tells.

    Raises:
        ClientMisuse: it is neither, or the variables are missing or wrong.
    """
    if text == "auto":
        return _of_pod(env)
    found = _PART.fullmatch(text)
    if found is None or int(found[1]) > int(found[2]):
        raise ClientMisuse(
            "--shard (shard=) must be NUMBER/COUNT, from 1/8 to 8/8 if there are eight parts, or "
            "auto"
        )
    return Split(int(found[1]), int(found[2]))


def _of_pod(env: Environment) -> Split:
    index, count = env.get(INDEX_VARIABLE) or "", env.get(COUNT_VARIABLE) or ""
    unset = [name for name in (INDEX_VARIABLE, COUNT_VARIABLE) if not env.get(name)]
    if unset:
        raise ClientMisuse(
            f"--shard auto (shard=): {' and '.join(unset)} must be set: Kubernetes sets "
            f"{INDEX_VARIABLE} in a Job with completionMode: Indexed, and you set {COUNT_VARIABLE} "
            "to its completions"
        )
    known = _NUMBER.fullmatch(index) and _NUMBER.fullmatch(count)
    if not known or int(index) >= int(count):
        raise ClientMisuse(
            f"--shard auto (shard=): {INDEX_VARIABLE} must be a number from 0, and below "
            f"{COUNT_VARIABLE}: set that to the completions of the Job"
        )
    return Split(int(index) + 1, int(count))

"""The unit of an export: one account, as plain data, which any process anywhere may export."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal, Self

import attrs

from voipstudio_cmb.auth.profile import URL_VARIABLE, Environment
from voipstudio_cmb.boundary.checks import checked_integer, described
from voipstudio_cmb.config import DEFAULT_BASE_URL, checked_base_url
from voipstudio_cmb.errors import ClientMisuse, ConfigError
from voipstudio_cmb.filters import Filter, where
from voipstudio_cmb.limits import checked_rate

from .accounts import complaints, read_tables, unknown_name
from .plan.plan import Plan

_OPTIONS = [field.name for field in attrs.fields(Plan) if field.init]


def _checked_ids(ids: tuple[int, int | None] | None) -> tuple[int, int | None] | None:
    if ids is None:
        return None
    if not isinstance(ids, tuple | list) or len(ids) != 2:
        raise ClientMisuse(f"ids are the first and the last id of a range, not {described(ids)}")
    first = checked_integer("ids, the first,", ids[0], 1)
    return first, None if ids[1] is None else checked_integer("ids, the last,", ids[1], first)


def _checked_rate(rate: float | None) -> float | None:
    return None if rate is None else checked_rate("rate", rate, error=ConfigError)


def _check_plan(shard: Shard, _: object, plan: Any) -> None:
    if not isinstance(plan, Plan):
        raise ClientMisuse(f"a shard needs an export.Plan, not {described(plan)}")
    if plan.overwrite or plan.restart:
        raise ClientMisuse(
            "a shard may be run again at any time, and overwrite and restart would begin what is "
            "complete again: export to a directory of its own for each run"
        )


@attrs.frozen(kw_only=True)
class Shard:
    """What to export of one account, as plain data: no token, but where it is.

    Its files go to the directory of the account's name in `plan.to`, or of a name that ends with
    its `ids`.

    Raises:
        ClientMisuse: it can't be exported, or its plan replaces files.
    """

    account: str
    """The name of the account."""
    token_env: str = attrs.field(default="", repr=False)
    """The environment variable that holds its token, where it is exported."""
    token_file: str = attrs.field(default="", repr=False)
    """Instead, the file that holds it, there."""
    token_function: str = attrs.field(default="", repr=False)
    """Instead, "module:function" that returns it there for the account's name; async or not."""
    base_url: str = attrs.field(default=DEFAULT_BASE_URL, converter=checked_base_url)
    """Which API it is an account of."""
    rate: float | None = attrs.field(default=None, converter=_checked_rate)
    """The requests a second that may be sent, whatever the limiter allows."""
    plan: Plan = attrs.field(validator=_check_plan)
    """What to export and to where, which is the same place for all that may export it."""
    ids: tuple[int, int | None] | None = attrs.field(default=None, converter=_checked_ids)
    """The first and the last id of the rows that are its own; no last one: all above the first."""

    def __attrs_post_init__(self) -> None:
        if wrong := complaints(self.account, self.table):
            raise ConfigError("; ".join(wrong))
        if self.ids is None:
            return
        if "buttons" in self.plan.resources or self.plan.since:
            raise ClientMisuse(
                "a range of ids can't have buttons, which are not filtered, nor since: name the "
                "other resources, and leave since out"
            )

    @property
    def table(self) -> dict[str, Any]:
        """What an accounts file would say of the account."""
        names = ("token_env", "token_file", "token_function", "base_url", "rate")
        return {name: getattr(self, name) for name in names if getattr(self, name)}

    @property
    def own_plan(self) -> Plan:
        """The plan for its own directory and rows."""
        if self.ids is None:
            return attrs.evolve(self.plan, to=self.plan.to / self.account)
        first, last = self.ids
        own = [where("id") >= first, *([] if last is None else [where("id") <= last])]
        directory = f"{self.account}.ids-{first}-{'' if last is None else last}"
        filters = (*self.plan.filters, *own)
        return attrs.evolve(self.plan, to=self.plan.to / directory, filters=filters)

    def to_dict(self) -> dict[str, Any]:
        """The shard as JSON can hold it.

        Raises:
            ClientMisuse: its format is one of your own, which is no plain data.
        """
        options: dict[str, Any] = {name: getattr(self.plan, name) for name in _OPTIONS}
        if not isinstance(self.plan.format, str):
            raise ClientMisuse("a format of your own is no plain data: pass the shard as an object")
        options["to"] = str(self.plan.to)
        options["workspace"] = self.plan.workspace and str(self.plan.workspace)
        options["resources"] = [*self.plan.resources]
        options["filters"] = [[*attrs.astuple(each)] for each in self.plan.filters]
        if not isinstance(self.plan.columns, str):
            options["columns"] = [*self.plan.columns]
        held = {field.name: getattr(self, field.name) for field in attrs.fields(type(self))}
        return {**held, "plan": options, "ids": self.ids and [*self.ids]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The shard that `to_dict` has made `data` of.

        Raises:
            ClientMisuse: it is none.
        """
        try:
            options = dict(data["plan"])
            options["filters"] = [Filter(*each) for each in options.get("filters", ())]
            return cls(**{**data, "plan": Plan(**options)})
        except (KeyError, TypeError) as error:
            raise ClientMisuse(f"this is no shard of an export: {type(error).__name__}") from None


def shards(
    accounts: str | Path,
    plan: Plan,
    *,
    by: Literal["account", "resource"] = "account",
    only: Collection[str] = (),
    env: Mapping[str, str] | None = None,
) -> list[Shard]:
    """One shard for each account in the TOML file `accounts`, in the order of their names.

    With `by` "resource", one for each resource of each account; an account's rate is divided among
    them. With names in `only` there are none of the others. No token is read, and none needs to be
    there: see `read_accounts` for the file. `env` stands in for `os.environ`, of which only
    `VOIPSTUDIO_API_URL` counts.

    Raises:
        ConfigError: the file can't be read, or something in it can't be used.
        ClientMisuse: the plan replaces files.
    """
    tables = read_tables(Path(accounts))
    if isinstance(tables, ConfigError):
        raise tables
    if error := unknown_name(Path(accounts), tables, only):
        raise error
    if by not in ("account", "resource"):
        raise ClientMisuse('by must be "account" or "resource"')
    plans = [plan]
    if by == "resource":
        plans = [attrs.evolve(plan, resources=(each,)) for each in plan.resources]
    url = Environment(env).get(URL_VARIABLE) or DEFAULT_BASE_URL
    made = []
    for name, table in sorted(tables.items()):
        if only and name not in only:
            continue
        whole = Shard(account=name, plan=plan, **{"base_url": url, **table})
        rate = whole.rate and whole.rate / len(plans)
        made += [attrs.evolve(whole, plan=each, rate=rate) for each in plans]
    return made

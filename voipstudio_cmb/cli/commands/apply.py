"""The command `settings apply`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from voipstudio_cmb.cli.arguments import Arguments
from voipstudio_cmb.cli.options import (
    APPLIED,
    TOKEN,
    account_options,
    accounts_options,
    document_argument,
    prune_option,
)
from voipstudio_cmb.cli.parser import Command, option
from voipstudio_cmb.cli.question import can_ask, confirmed
from voipstudio_cmb.cli.terminal import print_message
from voipstudio_cmb.exit_codes import DONE, FAILED, RESUMABLE, USAGE, code_of, combined, passes

if TYPE_CHECKING:
    from voipstudio_cmb.client import CallMeBackClient
    from voipstudio_cmb.desired import Document, Outcome, Plan, Result, SavedPlan


async def run(arguments: Arguments) -> int:
    """Shows the plan, asks unless `--yes` is given, and applies it; returns the exit code."""
    from voipstudio_cmb import desired
    from voipstudio_cmb.cli.desired import of_each, open_targets, print_plans
    from voipstudio_cmb.errors import ClientMisuse

    document, saved = _asked_for(arguments)
    if arguments.as_json and not arguments.yes:
        raise ClientMisuse("--json leaves no room for a question: say --yes")
    if not (arguments.yes or can_ask(f"apply {document.path}")):
        return USAGE

    async def plan(name: str, client: CallMeBackClient) -> Plan:
        if saved is not None:
            if name not in saved:
                raise ClientMisuse("the document has another account since: make another plan")
            return await saved[name].reopen(client, document)
        return await desired.plan(client, document, account=name, prune=arguments.prune)

    async with open_targets(arguments, document) as targets:
        plans, unplanned = await of_each(targets, plan)
        if not arguments.as_json:
            await print_plans(plans, desired.render, as_json=False)
        if not _is_allowed(arguments, plans):
            return USAGE
        changes = any(each.changes for each in plans.values())
        if changes and not (arguments.yes or await confirmed("Apply this?")):
            print_message("nothing was changed")
            return USAGE

        async def apply(name: str, _client: CallMeBackClient) -> Outcome:
            tell = partial(_tell, f"{name}: " if name else "")
            return await plans[name].apply(force=arguments.force, on_item=tell)

        outcomes, failed = await of_each({name: targets[name] for name in plans}, apply)
    await _report(arguments, outcomes)
    return combined([*unplanned, *failed, *map(_code, outcomes.values())])


def _is_allowed(arguments: Arguments, plans: Mapping[str, Plan]) -> bool:
    """Whether no plan has a risk that nobody has taken; if one has, says so."""
    risky = [] if arguments.force else [each for each in plans.values() if each.risk]
    for each in risky:
        account = f"{each.account}: " if each.account else ""
        print_message(f"error: {account}{each.risk}: if that is meant, say --force")
    return not risky


def _asked_for(arguments: Arguments) -> tuple[Document, dict[str, SavedPlan] | None]:
    """The document, and the plan to apply if that is to be a saved one."""
    from voipstudio_cmb import desired
    from voipstudio_cmb.cli.saved import read_plans
    from voipstudio_cmb.errors import ClientMisuse

    if (arguments.document is None) == (arguments.plan is None):
        raise ClientMisuse("name a document, or a plan that was saved by --plan PLAN")
    if arguments.plan is None:
        return desired.read(arguments.document), None
    saved = {each.account: each for each in read_plans(arguments.plan)}
    return desired.read(next(iter(saved.values())).path), saved


def _tell(account: str, result: Result) -> None:
    item = result.item
    name = f"{account}{item.kind}.{item.local}" if item.local else f"{account}{item.kind} {item.id}"
    print_message(f"{name}: {item.action}: {result.state}")


async def _report(arguments: Arguments, outcomes: dict[str, Outcome]) -> None:
    from voipstudio_cmb import desired
    from voipstudio_cmb.cli.desired import headed, one_or_all, styled
    from voipstudio_cmb.cli.stdio import print_text
    from voipstudio_cmb.cli.terminal import print_json

    if arguments.as_json:
        await print_json(one_or_all({name: _json(name, each) for name, each in outcomes.items()}))
    else:
        done = {name: each for name, each in outcomes.items() if each.results}
        texts = {name: desired.render_outcome(each) for name, each in done.items()}
        await print_text(styled(headed(texts)))


def _json(account: str, outcome: Outcome) -> dict[str, Any]:
    results = [
        {
            "kind": each.item.kind,
            "local": each.item.local,
            "id": each.id,
            "action": each.item.action,
            "state": each.state,
            "message": each.message,
        }
        for each in outcome.results
    ]
    return {"account": account, "complete": outcome.complete, "results": results}


def _code(outcome: Outcome) -> int:
    """The exit code for `outcome`: 5 if the same command may do the rest."""
    if outcome.complete:
        return DONE
    tried = [each for each in outcome.results if each.state != "not tried"]
    # Where nothing that was tried has failed, the document was edited meanwhile.
    return combined([*map(_code_of_result, tried)]) or RESUMABLE


def _code_of_result(result: Result) -> int:
    if result.state == "done":
        return DONE
    if result.item.blocked:  # it waits for somebody who looks into the dashboard
        return FAILED
    if result.state == "failed" and result.error is not None and not passes(result.error):
        return code_of(result.error)
    return RESUMABLE


def command_of(resource: str) -> Command:
    """`settings apply`."""
    force = (
        "Delete though that is more than 5 resources, or than 30 % of them; create though all ids "
        "are gone."
    )
    return Command(
        "apply",
        run,
        [
            document_argument(required=False),
            option("--plan", metavar="PLAN", help="Apply the plan in this file.", completes="file"),
            prune_option(),
            option("--force", is_flag=True, help=force),
            option("--yes", "-y", is_flag=True, help="Do not ask."),
            option("--json", "as_json", is_flag=True, help="Print what came of it as JSON."),
            *accounts_options(),
            *account_options(),
        ],
        help="Show what a document changes, ask, and change it; write new ids into the document.",
        brief="Do what a document says, after a look at the plan.",
        examples=[
            "voipstudio-cmb settings apply widgets.toml --yes",
            "voipstudio-cmb settings apply --plan widgets.plan --yes",
        ],
        epilog=f"{APPLIED}\n\n{TOKEN}",
        exclusive=[("accounts", "profile"), ("plan", "prune")],
        needs={"account": ["accounts"]},
        resource=resource,
    )

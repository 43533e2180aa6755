"""Refuses a renamed stack: all its names would change, and every part be replaced for it."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi


def problem(environment: Mapping[str, str] | None, stack: str) -> str:
    """Why the stack must not go on: ``environment``, of its first resource, has another name.

    Empty where it has not. An up that leaves that resource out (``--target``, ``--exclude``) runs
    no hook of it, and finds its outputs of the up before.
    """
    before = (environment or {}).get("STACK", stack)
    if before == stack:
        return ""
    return (
        f"nothing was touched, because this stack was renamed from {before} to {stack}: "
        f"Docker's objects keep the names of {before}, so the cluster would be replaced, "
        f"and its workloads go with it. Run `pulumi stack rename {before}` to keep them, "
        f"or `pulumi destroy` and then `pulumi up` to have a new cluster for {stack}. If its state "
        f"is a copy of that of {before} (`pulumi stack import`), its destroy would remove what "
        f"{before} has: forget it with `pulumi stack rm --force --preserve-config {stack}`"
    )


def refuse(stack: str) -> pulumi.ResourceHook:
    """A hook before an update of the stack's first resource: the state has the stack's old name.

    It runs in previews too, before any other resource, and its error ends the run: engine
    v3.259.0, pkg/resource/deploy, UpdateStep.Apply and Deployment.RunHooks.
    """

    def hook(arguments: pulumi.ResourceHookArgs) -> None:
        if told := problem((arguments.old_inputs or {}).get("environment"), stack):
            raise RuntimeError(told)

    options = pulumi.ResourceHookOptions(on_dry_run=True)
    return pulumi.ResourceHook(f"refuse-rename-to-{stack}", hook, options)

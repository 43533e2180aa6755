"""StackGuard: the first resource of a stack and the last to go."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi

from runtime_observability.core.args import StackGuardArgs

from . import _commands, _orphans, _renames


class StackGuard(pulumi.ComponentResource):
    """Its delete removes what the stack owns, in Pulumi's state or not, and proves it gone.

    Its create claims the stack's folder, so that no other Pulumi stack takes it for its own.
    """

    of_this_name: pulumi.Input[pulumi.Resource]
    """This guard, for what depends on it; without a value where the stack was renamed."""

    def __init__(
        self, name: str, args: StackGuardArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("runtime-observability:index:StackGuard", name, None, opts)
        sweep = _commands.guard(
            f"{name}-sweep",
            ["refuse_alone.sh", "sweep_rehearsal.sh", "sweep_cluster.sh", "sweep_stack.sh"],
            {
                "OWNER": args.owner,
                "STACK": args.stack,
                "CLUSTER": args.cluster,
                "REHEARSAL": args.rehearsal,
                "DIRECTORY": args.directory,
                "CLAIM": args.claim,
                "KEPT_VOLUMES": " ".join(args.kept_volumes),
                **({"KEPT_ELSEWHERE": args.kept_elsewhere} if args.kept_elsewhere else {}),
            },
            create=["claim_stack.sh"],
            opts=pulumi.ResourceOptions(
                parent=self,
                hooks=pulumi.ResourceHookBinding(
                    before_create=[_orphans.no_cluster(args.standing, args.owner, args.directory)],
                    before_update=[_renames.refuse(args.stack)],
                ),
            ),
        )

        def checked(environment: Mapping[str, str] | None) -> pulumi.Resource:
            if told := _renames.problem(environment, args.stack):
                raise pulumi.RunError(told)
            return self

        # In a preview the outputs of a guard that changes may not be known.
        self.of_this_name = (
            self if pulumi.runtime.is_dry_run() else sweep.environment.apply(checked)
        )
        self.register_outputs({})

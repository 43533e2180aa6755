"""ConfigFiles: the files that every node reads, in the stack's own folder."""

from __future__ import annotations

import pulumi
from pulumi_command import local

from runtime_observability.core.args import ConfigFilesArgs
from runtime_observability.host import runner

from . import _commands

_FUNCTIONS = runner.script(runner.FUNCTIONS)
_WRITE = f"""set -eu
{_FUNCTIONS}
put "$DIRECTORY/$FILE"
"""
_REMOVE = f"""set -eu
{_FUNCTIONS}
remove "$DIRECTORY/$FILE"
rmdir "$DIRECTORY" 2>/dev/null || :
"""


class ConfigFiles(pulumi.ComponentResource):
    """One Command per file; another generation runs them again after the files were changed."""

    are_current: pulumi.Output[bool]
    """Whether they are of this run's configuration. An up that leaves one out (``--target``,
    ``--exclude``) finds that of the up before."""

    def __init__(
        self, name: str, args: ConfigFilesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("runtime-observability:index:ConfigFiles", name, None, opts)
        written = [
            local.Command(
                f"{name}-{file}",
                create=_WRITE,
                delete=_REMOVE,
                stdin=text,
                environment={
                    "DIRECTORY": args.directory,
                    "FILE": file,
                    **_commands.generation_variable(args.generation),
                },
                triggers=[f"{args.directory}/{file}"],
                add_previous_output_in_env=False,
                opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
            )
            for file, text in args.files.items()
        ]
        texts = pulumi.Output.all(*(pulumi.Output.unsecret(file.stdin) for file in written))
        self.are_current = (
            pulumi.Output.from_input(True)  # a preview tells what comes with all of them
            if pulumi.runtime.is_dry_run()
            else texts.apply(lambda found: found == list(args.files.values()))
        )
        self.register_outputs({"directory": args.directory})

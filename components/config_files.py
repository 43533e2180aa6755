"""ConfigFiles: the files that every node reads, in the stack's own folder."""

from __future__ import annotations

import pulumi

from runtime_observability.core.args import ConfigFilesArgs

from . import _commands


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
            _commands.guard(
                f"{name}-{file}",
                ["remove_file.sh"],
                {
                    "DIRECTORY": args.directory,
                    "FILE": file,
                    **_commands.generation_variable(args.generation),
                },
                create=["write_file.sh"],
                stdin=text,
                triggers=[f"{args.directory}/{file}"],
                opts=pulumi.ResourceOptions(parent=self),
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

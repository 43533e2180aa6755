"""Stand-ins for two Pulumi provider plugins, for machines that cannot download the real ones.

They stand in for pulumi-resource-command 1.2.1 and pulumi-resource-docker 5.2.0, and cover what
this project's program uses: Command, Network, RemoteImage and Container. Any other type or property
is refused by name, and there are no functions. What they do and leave undone follows the real
plugins, so that a program which works here works there; a deviation is a defect.

Sources, cited in the code by their short names:

    command    pulumi/pulumi-command v1.2.1, provider/pkg/provider/
    infer      pulumi/pulumi-go-provider v1.5.0, infer/resource.go (what command is built on)
    terraform  kreuzwerker/terraform-provider-docker v4.5.0, internal/provider/
    bridge     pulumi/pulumi-terraform-bridge v3.133.0, pkg/tfbridge/provider.go
    docker     pulumi/pulumi-docker v5.1.0, provider/resources.go
    seen       both real plugins, run on this project's graph with Pulumi 3.259.0 and Docker 20.10;
               tests/unit/lab/providers/test_real_plugins.py has a row for every case of it
"""

from lab.pins import PINS

VERSIONS = {name: PINS.plugins[f"pulumi-{name}"] for name in ("command", "docker")}
"""The plugin versions that the program's SDKs require."""

"""Pure: values in, values out. No Pulumi, no network, no processes."""

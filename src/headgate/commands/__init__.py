"""Commands with subcommands of their own, one module each; `headgate.cli` mounts them."""

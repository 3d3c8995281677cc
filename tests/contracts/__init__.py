"""What every implementation of a port must do: one suite, run against each of them."""

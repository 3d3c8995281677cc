"""End-to-end tests: the real process, real sockets, the official SDKs. `harness` starts and stops the processes."""

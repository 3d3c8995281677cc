"""Every dialect in, every dialect out: official SDKs of two languages, the gateway, and the simulator in each provider dialect."""

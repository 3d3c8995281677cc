"""What operators see: metrics (one table of data feeds code, exposition and docs) and structured log lines."""

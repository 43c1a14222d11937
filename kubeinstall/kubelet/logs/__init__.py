"""Container log files: reading, rotating, links."""

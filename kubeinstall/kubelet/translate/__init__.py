"""From API objects to CRI messages."""

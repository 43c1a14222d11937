"""Pure questions about pods: no input, no output, no state."""

"""The commands, one module each, and the one error boundary."""

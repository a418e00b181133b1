"""What makes targets; each backend is independent of the others."""

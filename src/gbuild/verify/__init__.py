"""Reading a signature tree and judging it."""

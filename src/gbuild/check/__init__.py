"""Is it reproducible, and if not, why: varied builds, comparison, diagnosis."""

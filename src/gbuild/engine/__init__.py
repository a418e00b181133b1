"""From a descriptor to a report: inputs, plan, run, collect."""

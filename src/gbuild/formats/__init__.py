"""Bytes to model and back; pure, and the only place that knows YAML."""

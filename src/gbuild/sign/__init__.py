"""Signing of reports and the tree of signatures."""

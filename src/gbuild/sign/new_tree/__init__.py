"""The files of a new tree of signatures, as ``gsigs init`` writes them."""

"""The seam between the engine and machines: the backend interface, SSH, shell and trees."""

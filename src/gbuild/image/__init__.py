"""From a lock to a root file system: resolve, download, bootstrap, keep."""

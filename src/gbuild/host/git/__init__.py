"""git remotes: mirrors in the store, and checkouts that follow from a commit alone.

``command`` runs git, ``mirror`` fetches (``watch`` looks after a fetch), ``revision`` and
``submodules`` find commits, ``plan`` puts these together, ``checkout`` makes the files, ``place``
swaps them into a workspace.
"""

"""Namespaces, mounts and filters: the walls around foreign code.

``trusted`` runs our own programs as mapped root, ``confined`` foreign code from inside such a
program, ``machine`` a long-lived sandbox that answers SSH. ``launcher`` and what it imports use
the standard library only and run on their own.
"""

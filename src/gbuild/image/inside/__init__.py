"""Programs that run as mapped root, outside the reach of foreign code: standard library only.

They are files for :func:`gbuild.host.sandbox.trusted.run_trusted`; what goes in and out is JSON.
"""

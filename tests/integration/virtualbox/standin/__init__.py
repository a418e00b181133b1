"""A stand-in for VirtualBox: its VBoxManage, and machines that answer SSH."""

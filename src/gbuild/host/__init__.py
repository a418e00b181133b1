"""One small module per thing outside the program: processes, files, git, gpg, apt, downloads."""

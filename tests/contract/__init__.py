"""What every backend must do, and the backends that are held to it."""

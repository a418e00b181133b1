"""The commands, one module each, and the one error boundary."""

import gc

# Loading modules makes a hundred thousand objects and next to no garbage: looking for some after
# every 700 of them, as Python would, is a tenth of the time until a command begins.
gc.set_threshold(50_000, 20, 20)

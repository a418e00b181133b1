"""How hypothesis looks for counterexamples here.

The suite tries the same examples in every run, whatever the load of the machine is;
GBUILD_TEST_EXPLORE=1 looks for new ones, longer.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_SLOW = [HealthCheck.too_slow]

settings.register_profile(
    "steady", deadline=None, derandomize=True, database=None, suppress_health_check=_SLOW
)
settings.register_profile(
    "explore", deadline=None, max_examples=3000, suppress_health_check=_SLOW, print_blob=True
)
settings.load_profile("explore" if os.environ.get("GBUILD_TEST_EXPLORE") else "steady")

"""`python -m app`."""

import gc
import os

# A start takes less time without collections, because nothing becomes garbage (the server enables
# them again), and without a search for pydantic plugins in the metadata of every installed package.
gc.disable()
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")

# pylint: disable=wrong-import-position
from app.main import main  # noqa: E402

main()

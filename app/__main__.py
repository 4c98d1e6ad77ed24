"""`python -m app`."""

import gc

gc.disable()  # while loading, because nothing becomes garbage; the server enables it again

# pylint: disable=wrong-import-position
from app.main import main  # noqa: E402

main()

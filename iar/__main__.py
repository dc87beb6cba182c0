"""``python -m iar NAME …``: as the command ``iar`` (`iar.cli.road`)."""

from __future__ import annotations

import sys

from iar.cli.road import main

sys.exit(main())

"""The gate is tested on audits made with the audit's fakes."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "audit"))

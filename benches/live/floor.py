"""What sending the same packets costs by `sendto` alone."""

import os
import subprocess
from pathlib import Path

from switch import ROOT

PROGRAM = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/floor"


def floor(callers, seconds):
    """The processor time for each of so many callers, in % of a core."""
    done = subprocess.run([PROGRAM, str(callers), str(round(seconds))], capture_output=True, text=True, check=True)
    return float(done.stdout)

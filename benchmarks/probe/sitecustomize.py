"""Notes when a Python process imports and compiles; Python loads it where PYTHONPATH has this folder.

At exit writes .spans.<pid>.json into the working folder: when the process began and ended, and the spans of
time in which it loaded modules and in which Numba compiled (outside of imports).
"""

import atexit
import builtins
import importlib
import json
import os
import sys
import time
from pathlib import Path

BEGAN = time.time()
FOLDER = Path.cwd()
SPANS = {"imports": [], "compiled": []}
_depth = 0


def _noted(plain):
    def load(*args, **kwargs):
        global _depth
        if _depth:
            return plain(*args, **kwargs)
        _depth, start = 1, time.time()
        try:
            return plain(*args, **kwargs)
        finally:
            _depth, end = 0, time.time()
            # what was loaded already takes no time, and is not worth a line
            if end - start > 0.001:
                SPANS["imports"].append((start, end))
                _listen()

    return load


def _listen():
    """Ask Numba to tell when it compiles; once, after it is there."""
    event = sys.modules.get("numba.core.event")
    if event is None or getattr(event, "heard", False):
        return
    event.heard = True

    class Compiling(event.Listener):
        depth = 0

        def on_start(self, _):
            self.depth += 1
            if self.depth == 1:
                self.start = time.time()

        def on_end(self, _):
            self.depth -= 1
            if self.depth == 0 and not _depth:
                SPANS["compiled"].append((self.start, time.time()))

    event.register("numba:compile", Compiling())


def _write():
    path = FOLDER / f".spans.{os.getpid()}.json"
    path.write_text(json.dumps({"began": BEGAN, "ended": time.time(), **SPANS}))


builtins.__import__ = _noted(builtins.__import__)
importlib.import_module = _noted(importlib.import_module)
atexit.register(_write)

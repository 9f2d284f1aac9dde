"""A process that saves checkpoints without end: `python -m tests.checkpoint.writer RUN_DIR [OPTION]`.

Prints `saved STEP` after each. With `--stop-before-rename` it stops itself (SIGSTOP) just before its first manifest is
renamed, until somebody lets it go on.
"""

import os
import signal
import sys
from pathlib import Path

from td3_hpc.checkpoint import store as store_module
from td3_hpc.errors import UserError
from tests.checkpoint.rows import GrowingRows, open_store, tree


def stop_before_rename() -> None:
    real = store_module.replace_file

    def stopped(path: Path, data: bytes) -> None:
        store_module.replace_file = real
        os.kill(os.getpid(), signal.SIGSTOP)
        real(path, data)

    store_module.replace_file = stopped


def main() -> None:
    run_dir = Path(sys.argv[1])
    try:
        store = open_store(run_dir)
        checkpoint = store.latest()
        step = checkpoint.manifest.step if checkpoint else 0
        print(f"opened {step}", flush=True)
        if "--stop-before-rename" in sys.argv:
            stop_before_rename()
        while True:
            step += 1
            rows = GrowingRows(step * 100)
            if step % 2:
                store.save(step, tree(step), rows)
            else:
                store.save_in_background(step, tree(step), rows)
            for outcome in store.poll():
                if outcome.error is not None:
                    raise outcome.error
            print(f"saved {step}", flush=True)
    except UserError as error:
        print(f"refused {error}", flush=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()

"""A process that saves checkpoints without end: `python -m tests.checkpoint.writer RUN_DIR [OPTION]`.

Prints `saved STEP` after each. With `--pause-before-rename FILE` it creates FILE just before its first manifest is
renamed, and waits until the file is gone.
"""

import sys
import time
from pathlib import Path

from td3_hpc.checkpoint import store as store_module
from td3_hpc.errors import UserError
from tests.checkpoint.rows import GrowingRows, open_store, tree


def pause_before_rename(flag: Path) -> None:
    real = store_module.replace_file

    def held(path: Path, data: bytes) -> None:
        flag.touch()
        while flag.exists():
            time.sleep(0.01)
        real(path, data)

    store_module.replace_file = held


def main() -> None:
    run_dir = Path(sys.argv[1])
    try:
        store = open_store(run_dir)
        checkpoint = store.latest()
        step = checkpoint.manifest.step if checkpoint else 0
        print(f"opened {step}", flush=True)
        if "--pause-before-rename" in sys.argv:
            pause_before_rename(Path(sys.argv[-1]))
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

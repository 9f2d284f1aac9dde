from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from td3_hpc.training.telemetry.tensorboard import TensorBoard


def steps(directory):
    found = []
    for path in sorted(directory.glob("events.out.tfevents.*")):
        found += [event.step for event in EventFileLoader(str(path)).Load() if event.HasField("summary")]
    return found


def test_after_a_resume_no_step_stands_twice(tmp_path):
    first = TensorBoard(tmp_path, enabled=True)
    first.open()
    for step in range(5):
        first.scalar("train/reward", 0.0, step)
    sizes = first.sizes()
    for step in range(5, 9):
        first.scalar("train/reward", 0.0, step)
    first.close()
    assert steps(tmp_path) == list(range(9))

    second = TensorBoard(tmp_path, enabled=True)
    second.open(keep=sizes)
    for step in range(5, 7):
        second.scalar("train/reward", 0.0, step)
    second.close()
    assert steps(tmp_path) == list(range(7))


def test_a_file_that_the_checkpoint_does_not_know_is_removed(tmp_path):
    first = TensorBoard(tmp_path, enabled=True)
    first.open()
    first.scalar("train/reward", 0.0, 1)
    first.close()
    second = TensorBoard(tmp_path, enabled=False)
    second.open(keep={})
    assert list(tmp_path.iterdir()) == []


def test_a_disabled_one_writes_nothing(tmp_path):
    board = TensorBoard(tmp_path, enabled=False)
    board.open()
    board.scalar("train/reward", 0.0, 1)
    board.text("alerts", "text", 1)
    board.close()
    assert board.sizes() == {}
    assert list(tmp_path.iterdir()) == []

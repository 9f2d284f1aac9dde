"""The lock under which jobs are queued."""

from pathlib import Path
from threading import Thread

from td3_hpc.launch.jobs.lock import queue_lock
from td3_hpc.submission_folder import SubmissionFolder


def test_one_at_a_time(tmp_path: Path) -> None:
    inside: list[int] = []
    most: list[int] = []

    def enter(number: int) -> None:
        with queue_lock(SubmissionFolder(tmp_path)):
            inside.append(number)
            most.append(len(inside))
            inside.remove(number)

    threads = [Thread(target=enter, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert most == [1] * 5
    assert list((tmp_path / "submission").iterdir()) == []


def test_a_lock_that_a_killed_process_left_is_taken_over(tmp_path: Path) -> None:
    folder = SubmissionFolder(tmp_path)
    folder.lock.mkdir(parents=True)

    with queue_lock(folder, patience_s=0.01):
        assert folder.lock.is_dir()
    assert list(folder.path.iterdir()) == []

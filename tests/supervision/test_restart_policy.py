from td3_hpc.supervision.restart_policy import RestartPolicy


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def test_pauses_grow_and_end_with_the_budget():
    policy = RestartPolicy(per_hour=9, clock=Clock())
    assert [policy.next_pause_s(lived_s=1) for _ in range(10)] == [0, 1, 2, 4, 8, 16, 32, 60, 60, None]


def test_a_sound_server_starts_the_pauses_anew():
    policy = RestartPolicy(per_hour=10, clock=Clock())
    assert [policy.next_pause_s(lived) for lived in (1, 1, 1, 61, 1, 1)] == [0, 1, 2, 0, 1, 2]


def test_restarts_older_than_an_hour_do_not_count():
    clock = Clock()
    policy = RestartPolicy(per_hour=2, clock=clock)
    assert [policy.next_pause_s(100) for _ in range(3)] == [0, 0, None]
    clock.now += 3601
    assert [policy.next_pause_s(100) for _ in range(3)] == [0, 0, None]
    assert policy.recent == 2


def test_no_restarts_at_all():
    assert RestartPolicy(per_hour=0).next_pause_s(1000) is None

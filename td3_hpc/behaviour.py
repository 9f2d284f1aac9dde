"""The behaviour number: whether two versions of this package compute the same run.

It is raised with every change after which the same configuration and seed give another run: of the simulator's
dynamics, towns or pictures, the traffic, the routes, the reward, the networks, the update, or the arithmetic of any
of these. The ways in `td3/kernels.py` are the same arithmetic in another order: which one a run takes is not part of
this number, but stands in its checkpoints by name, and stays. What changed goes into `CHANGES`, in words that fit
"not exact from step 500: …".
`tests/test_behaviour.py` fails where the number has been forgotten, and says what to do.
"""

CHANGES: dict[int, str] = {
    1: "every version before this number was written into checkpoints",
    2: "in towns other than Brookfield and Hamlet: lanes end with their sections, roads are healed, routes differ",
    3: "the car stands on the ground when an episode begins, exploration drives, the reward forgets, waiting is not "
    "being stuck, deviations are scaled to be seen, the policy's penalty follows the critics' slope, the encoder is "
    "steady",
    4: "Brookfield and Hamlet have crosswalks, middle lines that nobody changes lanes over, and lower speed limits at "
    "junctions; elsewhere limits are lower in curves that do not allow them",
    5: "vehicles have engines, gears, tyres under load and springs: pedals give other accelerations, and cameras tilt; "
    "waypoints go on past the goal; several simulators' decisions are computed in one pass",
    6: "in towns other than Brookfield and Hamlet: lanes keep what the last section of their road links to, and lead "
    "where the client library leads them, so that routes differ (CARLA's Town05 among them)",
    7: "the policy's penalty draws the pedal to a little throttle, not to none; with agent.precision bfloat16 the "
    "heads are computed in float32",
    8: "in towns other than Brookfield and Hamlet: lanes have limits of their own, signs hold from where they stand, "
    "hairpins are slow and bends below 3 m no part of routes, and signs that share an id stay apart",
}
"""What each number stands for: what the versions that have it do otherwise than those before."""

BEHAVIOUR = max(CHANGES)
"""Of this version; stands in every checkpoint's provenance, among what exactness rests on."""


def behaviour_difference(saved: int, now: int) -> str:
    """How the behaviour of two versions differs, in words; empty where it does not."""
    if saved == now:
        return ""
    between = range(min(saved, now) + 1, max(saved, now) + 1)
    what = "; ".join(f"{number}: {CHANGES.get(number, 'a later version')}" for number in between)
    return f"behaviour was {saved}, is {now} ({what})"

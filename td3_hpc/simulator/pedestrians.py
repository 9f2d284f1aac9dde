"""The pedestrians of CARLA 0.9.16's library: what their blueprints say of them."""

PEDESTRIANS = range(1, 53)
"""The numbers in their names, `walker.pedestrian.0001` and on."""
FEMALE = frozenset((1, *range(5, 12), 15, *range(19, 24), 31, 32, *range(35, 38), *range(40, 45), *range(48, 51)))
"""The others are male."""
_CHILDREN = frozenset((*range(9, 15), 48, 49))
_TEENAGERS = frozenset((50, 51))


def age_of(number: int) -> str:
    """The value of the attribute `age`."""
    if number in _CHILDREN:
        return "child"
    return "teenager" if number in _TEENAGERS else "adult"


def generation_of(number: int) -> int:
    """Of CARLA's models: 1 for the oldest."""
    if number < 15:
        return 1
    return 2 if number < 50 else 3

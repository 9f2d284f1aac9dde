"""Who is in the world."""

from td3_hpc.simulator.actors import Actor, FrictionTrigger, Sensor, Vehicle, Walker


class Population:
    """Actors by id, and those of a kind, always in the order of their ids."""

    def __init__(self, last_id: int = 0) -> None:
        """The first actor gets the id after `last_id`."""
        self.by_id: dict[int, Actor] = {}
        self.vehicles: list[Vehicle] = []
        self.walkers: list[Walker] = []
        self.solid: list[Actor] = []
        """What may collide: vehicles, walkers and props."""
        self.sensors: list[Sensor] = []
        self.triggers: list[FrictionTrigger] = []
        self.attached: list[Actor] = []
        self.last_id = last_id

    def add(self, actor: Actor) -> None:
        """Give it the next id."""
        self.last_id += 1
        actor.id = self.last_id
        self.by_id[actor.id] = actor
        for group in self._groups(actor):
            group.append(actor)

    def remove(self, actor: Actor) -> None:
        """Take it out."""
        for group in self._groups(actor):
            group.remove(actor)
        del self.by_id[actor.id]

    def has_left(self, actor_id: int) -> bool:
        """Whether there was such an actor, and is no more."""
        return 0 < actor_id <= self.last_id and actor_id not in self.by_id

    def _groups(self, actor: Actor) -> list[list[Actor]]:
        groups: list[list[Actor]] = []
        if isinstance(actor, Vehicle):
            groups = [self.vehicles, self.solid]  # type: ignore[list-item]
        elif isinstance(actor, Walker):
            groups = [self.walkers, self.solid]  # type: ignore[list-item]
        elif isinstance(actor, Sensor):
            groups = [self.sensors]  # type: ignore[list-item]
        elif isinstance(actor, FrictionTrigger):
            groups = [self.triggers]  # type: ignore[list-item]
        elif actor.type_id.startswith("static."):
            groups = [self.solid]
        return [*groups, self.attached] if actor.parent is not None else groups

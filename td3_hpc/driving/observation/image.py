"""The camera: the last four frames in grayscale."""

from collections.abc import Sequence
from typing import Any

import carla
import cv2
import numpy as np
from numpy.typing import NDArray

from td3_hpc.config.environment import CameraConfig
from td3_hpc.driving.observation.base import ObservationPart, Scene
from td3_hpc.driving.sensors import EgoSensor, picture_of
from td3_hpc.spaces import FRAME_SHAPE, first_stack, next_stack


class Camera(EgoSensor):
    """An RGB camera of 84 x 84 pixels on the ego, read as grayscale."""

    def __init__(self, world: Any, ego: Any, config: CameraConfig) -> None:
        height, width = FRAME_SHAPE
        blueprint = world.get_blueprint_library().find("sensor.camera.rgb")
        blueprint.set_attribute("image_size_x", str(width))
        blueprint.set_attribute("image_size_y", str(height))
        blueprint.set_attribute("fov", str(config.fov_deg))
        mount = carla.Transform(carla.Location(x=config.x_m, z=config.z_m), carla.Rotation(pitch=config.pitch_deg))
        super().__init__(world, ego, blueprint, mount)
        self._images = self.images()

    def read(self, frame: int, timeout_s: float) -> NDArray[np.uint8]:
        """The picture of a frame, (84, 84) uint8. Raises SensorTimeout."""
        image = picture_of(frame, self._images, timeout_s)
        pixels = np.frombuffer(image.raw_data, np.uint8).reshape(image.height, image.width, 4)
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGRA2GRAY), np.uint8)


class CameraImage(ObservationPart):
    """(4, 84, 84) uint8, newest last; an episode starts with its first frame four times."""

    _stack: NDArray[np.uint8] | None = None

    def attach(self, world: Any, ego: Any) -> Sequence[EgoSensor]:
        """The camera."""
        self._camera = Camera(world, ego, self.config.camera)
        return (self._camera,)

    def receive(self, frame: int, timeout_s: float) -> None:
        """Put the frame's picture on the stack."""
        picture = self._camera.read(frame, timeout_s)
        self._stack = first_stack(picture) if self._stack is None else next_stack(self._stack, picture)

    def value(self, scene: Scene) -> NDArray[np.uint8]:
        """The stack."""
        assert self._stack is not None, "receive() comes first"
        return self._stack

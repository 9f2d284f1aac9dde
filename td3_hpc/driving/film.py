"""A film of one episode: a camera behind the ego, with the policy's own picture in the corner."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import carla
import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from td3_hpc.driving.sensors import EgoSensor, picture_of
from td3_hpc.durable import require_folder
from td3_hpc.errors import BadInput
from td3_hpc.spaces import FRAME_SHAPE

WIDTH, HEIGHT = 480, 270
FORMATS = (".gif", ".mp4")
_GIF_EVERY = 2  # every other decision: a GIF holds whole pictures and grows large
_WHITE = (255, 255, 255)


def check_format(path: Path) -> None:
    """Raises BadInput for a file name that is no film's, or lies in no folder."""
    if path.suffix.lower() not in FORMATS:
        raise BadInput(f"{path}: a film is written as {' or '.join(FORMATS)}")
    require_folder(path)


class Film(EgoSensor):
    """Takes one picture a decision, and writes them all when the episode has ended."""

    def __init__(self, world: Any, ego: Any, path: Path, seconds_per_picture: float) -> None:
        """`seconds_per_picture` of simulated time, in which the film is shown again."""
        blueprint = world.get_blueprint_library().find("sensor.camera.rgb")
        blueprint.set_attribute("image_size_x", str(WIDTH))
        blueprint.set_attribute("image_size_y", str(HEIGHT))
        mount = carla.Transform(carla.Location(x=-7.0, z=3.6), carla.Rotation(pitch=-14.0))
        super().__init__(world, ego, blueprint, mount)
        self._images = self.images()
        self._path, self._seconds = path, seconds_per_picture
        self._pictures: list[npt.NDArray[np.uint8]] = []

    def take(self, frame: int, timeout_s: float, seen: npt.NDArray[np.uint8], caption: str) -> None:
        """Add the picture of a frame. `seen` (84, 84): what the policy sees. Raises SensorTimeout."""
        image = picture_of(frame, self._images, timeout_s)
        picture = np.frombuffer(image.raw_data, np.uint8).reshape(HEIGHT, WIDTH, 4)[:, :, 2::-1].copy()
        height, width = FRAME_SHAPE
        inset = picture[8 : 8 + height, WIDTH - 8 - width : WIDTH - 8]
        inset[...] = seen[:, :, None]
        cv2.rectangle(picture, (WIDTH - 9 - width, 7), (WIDTH - 8, 8 + height), _WHITE, 1)
        for colour, shift in (((0, 0, 0), 1), (_WHITE, 0)):  # its shadow first
            place = (10 + shift, HEIGHT - 12 + shift)
            cv2.putText(picture, caption, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, 1)
        self._pictures.append(picture)

    def write(self) -> None:
        """Write the film at its path, under a temporary name first. Raises OSError."""
        temporary = self._path.with_name(f".{os.getpid()}-{self._path.name}")
        try:
            if self._path.suffix.lower() == ".gif":
                self._write_gif(temporary)
            else:
                self._write_mp4(temporary)
            temporary.replace(self._path)
        finally:
            temporary.unlink(missing_ok=True)

    def _write_gif(self, path: Path) -> None:
        def stills() -> Iterator[Image.Image]:
            for picture in self._pictures[::_GIF_EVERY]:
                yield Image.fromarray(picture).quantize(64)

        first, *others = stills()
        duration = round(1000 * self._seconds * _GIF_EVERY)
        first.save(path, format="GIF", save_all=True, append_images=others, duration=duration, loop=0, optimize=True)

    def _write_mp4(self, path: Path) -> None:
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 1.0 / self._seconds, (WIDTH, HEIGHT))
        try:
            for picture in self._pictures:
                writer.write(picture[:, :, ::-1])
        finally:
            writer.release()
        if not path.exists():
            raise OSError(f"{self._path}: this OpenCV writes no MP4; name the film .gif")

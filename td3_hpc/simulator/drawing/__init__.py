"""Pictures: what cameras see of a town and of what moves in it.

camera.py      a camera's picture, in CARLA's encodings;  projection.py  perspective
town_scene.py  the scene of a whole town;  scene.py  quadrilaterals, and those near a camera
roads.py       surface, paint and kerbs;  relief.py  what carries raised road
furniture.py   lights, signs, stop lines;  landmarks.py  buildings, trees, walls
bodies.py      what moves
faces.py       which faces a camera may see, and in which order they are drawn
weather.py     CARLA's fourteen parameters
"""

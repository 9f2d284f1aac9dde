"""The embedded headless simulator: CARLA's wire protocol for the unmodified client, on any OpenDRIVE town.

server.py          sockets, asynchronous clock, start and end;  __main__.py  `python -m td3_hpc.simulator`
connection.py      one client's RPC connection;  traffic_manager.py  the client's Traffic Manager, seen from its calls
rpc/               the RPC table, by theme
streams.py         what clients subscribe to
wire.py            packed shapes of the protocol;  labels.py  CARLA's semantic tags
geometry.py        poses and oriented boxes;  rays.py what a ray meets;  standing.py where things stand
world.py           the order of one step;  population.py, spawning.py, actors.py who is in it, mounting.py, settings.py
vehicle.py         vehicle dynamics;  physics.py their values;  drive_train.py, tyres.py, suspension.py
ackermann.py       a controller;  friction_triggers.py;  collisions.py;  walking.py;  loose_bodies.py what else falls
traffic_lights.py  whose turn it is;  sensors.py what is measured after each step
blueprints.py      what can be spawned;  props.py, pedestrians.py;  found_blueprints.py  what is listed and refused
towns/             roads, signals, spawn points of an OpenDRIVE file; which towns there are;  own_towns/ ours
drawing/           the camera's picture: what stands, what moves, weather
"""

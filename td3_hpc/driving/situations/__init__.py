"""Situations in which one must see: cars and walkers that stand in the ego's way for a while, and then clear it.

What blocks the way waits for the ego: its time only starts when the ego is near, so that nobody gets past by being
slow, and everybody does who stops. `stage.Stage` puts a situation into the world and plays it.

role.py      what one car or walker does;  path.py  the line that it goes along
crossroads.py  the junctions on a route
drawing.py   the roles of each kind of situation, on a route
stage.py     actors in the simulator, moved along their paths
"""

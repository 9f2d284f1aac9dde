"""Roads: OpenDRIVE text as anybody may have written it, made into what the client library can read.

reading.py     limits, encodings, XML
elements.py    numbers and ids of elements
notes.py       what healing did, told once for each kind
network.py     what a text says of what follows what
healing/       what is valid and yet harms the client library, written so that it does not
lanes.py       the driving lanes and what follows each
client_map.py  the client library's own lanes, walked so that its faults do not show
faults.py      what cannot be healed, named with a remedy
"""

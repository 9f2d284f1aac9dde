"""`python -m td3_hpc.simulator.towns NAME < TEXT`: reads a town where a crash harms nobody."""

import sys

from td3_hpc.errors import BadInput
from td3_hpc.simulator.towns import parse_town

if __name__ == "__main__":
    try:
        parse_town(sys.argv[1], sys.stdin.buffer.read().decode())
    except BadInput as error:
        sys.exit(str(error))

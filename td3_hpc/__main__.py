"""`python -m td3_hpc` is `td3-hpc`."""

from td3_hpc.cli import main

main()

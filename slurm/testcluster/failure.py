"""The error that the test cluster's program ends with."""


class ClusterError(Exception):
    """A failure explained in one line: what is wrong, and what to do."""

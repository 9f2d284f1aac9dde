"""What a run is judged by: its report, made from its record alone."""

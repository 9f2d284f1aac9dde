"""What is going on with runs that were submitted, and stopping them.

status.py   where runs and campaigns stand;  status_table.py  on the screen, or as JSON
logs.py     what a run's newest attempt prints
cancel.py   ending jobs so that what they did is kept
"""

"""Looking on while a run trains: trackers, JSON logs, an alarm when it stands still.

Nothing here decides a result, so none of it is part of a run's fingerprint.
"""

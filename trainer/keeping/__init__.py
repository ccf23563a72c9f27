"""Checkpoints that survive their machine: a store beside the work folder, written while training.

Nothing here decides a result, so none of it is part of a run's fingerprint.
"""

"""Training runs: workers, checkpoints, progress. Its code is part of a run's fingerprint."""

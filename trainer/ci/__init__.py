"""What the workflows in ``.github/`` ask: the logic that YAML should not hold."""

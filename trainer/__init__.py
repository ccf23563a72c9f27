"""The pipeline: from a data change to a gated, published model."""

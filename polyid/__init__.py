"""Polymer-property models: chemistry, graphs, networks, ensembles. A library usable alone."""

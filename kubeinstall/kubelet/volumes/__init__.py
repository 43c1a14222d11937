"""Volumes of pods: made before containers start, kept current, taken away after."""

"""The cgroups of pods: kubepods, its classes, and one for each pod."""

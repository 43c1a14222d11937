"""Deletes objects whose owners are gone, in the foreground, in the background, or lets them live."""

"""Where pods come from besides the API."""

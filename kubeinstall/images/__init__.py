"""Small OCI images from Debian packages or local files."""

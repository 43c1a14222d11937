"""API operations through a real server: kubectl, protobuf clients."""

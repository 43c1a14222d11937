"""Keeps the pods of ReplicaSets and ReplicationControllers at the number asked for."""

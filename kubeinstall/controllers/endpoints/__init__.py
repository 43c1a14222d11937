"""Keeps EndpointSlices and Endpoints of Services, and mirrors hand-made Endpoints."""

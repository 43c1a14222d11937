"""Hosts components: lifecycle, settings, health, metrics, logs and supervision."""

from kubeinstall.runtime.component import Component, ComponentContext
from kubeinstall.runtime.settings import Settings, load, setting

__all__ = ["Component", "ComponentContext", "Settings", "load", "setting"]

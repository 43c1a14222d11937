"""Says in each PodDisruptionBudget how many evictions it allows now."""

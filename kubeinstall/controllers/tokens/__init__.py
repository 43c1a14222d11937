"""Bootstrap tokens: signs cluster-info with them, and deletes those that have expired; token Secrets."""

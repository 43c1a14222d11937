"""What several controllers share: pods, owners, revisions, hashes."""

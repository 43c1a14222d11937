"""Takes away what nobody needs any more: ended pods and Jobs, pods of lost nodes."""

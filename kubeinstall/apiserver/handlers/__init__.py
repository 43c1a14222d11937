"""What each verb does, one a file. A handler answers through `call.exchange` or raises a `StatusError`."""

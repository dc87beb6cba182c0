"""Work spread over workers of Ray: their settings, the connection, the pool."""

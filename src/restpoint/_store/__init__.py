"""Live executions: the store, its records, wake-ups, leases, deadlines and the sweep."""

"""Random records and what their leads' scores must be: a second, naive implementation, which reads nothing but the records."""

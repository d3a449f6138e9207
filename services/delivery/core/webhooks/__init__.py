"""What webhooks decide: whom to tell what, when to try again, whom not to call. No I/O; time and chance are arguments."""

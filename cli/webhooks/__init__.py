"""How webhook endpoints and deliveries are shown."""

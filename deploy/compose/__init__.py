"""The stack in containers: docker-compose.yml at the top, run with the same ports, secrets and environment file as the local stack."""

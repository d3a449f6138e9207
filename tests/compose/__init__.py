"""`make test-compose`: the image built, the compose file run, the end-to-end tests against it, everything taken down again."""

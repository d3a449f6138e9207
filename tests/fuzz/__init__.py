"""Every operation of the OpenAPI document called with what it allows and with what it doesn't, by schemathesis, on a running stack."""

"""How Waybill is set up and run: migrations, the local stack."""

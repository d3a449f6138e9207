"""The local stack: Kafka, PostgreSQL, S3, the gateway and Waybill's services as processes of this machine, no containers."""

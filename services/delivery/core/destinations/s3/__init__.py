"""S3 as the delivery of files needs it: where objects are, how files become parts, what answers mean. Without I/O."""

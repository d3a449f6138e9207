"""Files into S3 buckets: one guarded client for all of them, and the upload of one file."""

"""What others would use instead of Waybill, measured side by side."""

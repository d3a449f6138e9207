"""What `waybill schedules` shows."""

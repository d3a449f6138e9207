"""What notifications decide."""

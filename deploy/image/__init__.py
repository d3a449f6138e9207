"""What belongs to the image: which packages it gets, how it says that it is healthy, and the one-shot preparations."""

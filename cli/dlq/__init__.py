"""Dead letters: list, show, replay."""

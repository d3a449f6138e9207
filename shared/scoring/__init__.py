"""What a lead's score follows from: facts, rules and their grammar, and the score itself. Pure: no clock, no randomness, exact decimal numbers."""

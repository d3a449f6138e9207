"""An export's life: accept or refuse, plan, release chunks, track parts, cancel, expire; and the organisations that ask."""

"""How the records of generate.py are made up."""

"""The tables of the schema, as values of the domain: rows in, rows out, no decisions."""

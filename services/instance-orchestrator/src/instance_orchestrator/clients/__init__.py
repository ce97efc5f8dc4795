"""Other systems: where instances run, and who pairs their agents."""

"""The keys by which this service signs in to instances: one each, made, proved, replaced and destroyed here."""

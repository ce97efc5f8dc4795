"""Terminals: shells of instances, shown in a browser, that wait for their user when the browser is gone."""

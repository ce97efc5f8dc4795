"""Starting, doing, following and ending runs."""

"""Several models side by side: which are undersafe, which oversafe."""

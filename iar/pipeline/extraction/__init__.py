"""Vector files from pairs: revision vectors, gates, strengths, the model's own pairs."""

"""What one does with a trained model: its embeddings on disk, neighbours, export, import."""

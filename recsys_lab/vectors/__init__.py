"""What one does with a trained model: embeddings of a run, neighbours, export, import."""

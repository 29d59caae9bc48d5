"""What is written in a picture."""

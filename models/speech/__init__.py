"""What is said: words with their times."""

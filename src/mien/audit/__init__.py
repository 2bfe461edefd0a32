"""What is wrong with datasets before anything is trained on them: leaks, duplicates, labels."""

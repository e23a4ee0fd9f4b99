"""What scores say, example by example: answers, decisions, probabilities, in words and numbers."""

"""What could mislead: few examples, unlikely recombinations, logits that are spread too little."""

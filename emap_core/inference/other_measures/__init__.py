"""What other papers measure, from the same run."""

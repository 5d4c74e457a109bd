"""The product as a whole: values beside an independent computation, SIGKILL in every stage, bad input and bad days."""

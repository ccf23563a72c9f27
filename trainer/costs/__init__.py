"""What a run costs: prices, measured throughput, estimates, and what a budget allows."""

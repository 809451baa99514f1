"""Meta-reinforcement learning: policies that learn a task by acting in it, within one trial."""

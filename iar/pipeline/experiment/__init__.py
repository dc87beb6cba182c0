"""What is asked: settings, the plan of configurations, samples and pairs."""

"""What several tests share: servers, clocks, counters, scripts that run in other processes."""

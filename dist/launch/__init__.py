"""Engines: what starts the processes of a job, on this machine or on others."""

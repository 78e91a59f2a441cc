"""What can watch and steer a training run, one kind a file; minidl/callbacks.py lists them."""

"""Optimising the pixels of a picture: the loop that Gatys, reconstruction and CNNMRF share.

objective.py   what is minimised: named losses of a picture, and their gradient
plan.py        the options that decide how: scales, iterations, optimizer
loop.py        optimize(): scale by scale, iteration by iteration
steps.py       what an iteration does: Adam with an average of the iterates, or L-BFGS
run.py         the state of a run, and its file for --resume
watch.py       optimizers that are stuck, grey spots
estimate.py    seconds and megabytes before the start
progress.py    the bar: losses by part, time left

Pixels are float32 from 0 to 255, (1, 3, H, W).
"""

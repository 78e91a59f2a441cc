"""Neural style: pictures in the style of others, in four ways, and textures.

Each way is a folder; its command.py says what it does, and where it goes from there.

    gatys/  cnnmrf/  reconstruct/    optimise the pixels of a picture, in optimize/
    texture/  super_resolution/      put pictures together from patches, step by step
    fast/                            train a network for one style, and draw with it
    compare/                         the ways on one pair of pictures

What they share:

    loss_network.py  frozen_layers.py  losses.py    what a picture lacks in content and style
    settings.py     options of several ways; those that do nothing are refused
    needs.py        seconds and megabytes before the start, and whether there are so many
    progress.py     bars, and lines where there is no terminal
    interrupt.py    Ctrl-C
    resume.py       the files of a run, its state among them, and --resume
    fingerprint.py  whether the pictures of a run are still the same
    stepwise.py     work in steps, with snapshots and a state
    colors.py       keeping a picture's colours
    report/         the page of a run
"""

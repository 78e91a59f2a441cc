"""How conv2d is computed: four algorithms, of which conv2d.py takes one."""

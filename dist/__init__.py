"""The parameter server: training on several machines over ZeroMQ.

Nothing is built here yet; the package exists so that the layout of the project is complete.
"""

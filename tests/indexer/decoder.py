"""A decoding process with a defect, for tests of what it costs."""

DECODER = """
import ctypes, os, sys, time
sys.path.append(sys.argv[1])
import indexer.worker as worker

real = worker.open_media

def open_media(path, **options):
    if path.name == "blink.gif":
        {defect}
    return real(path, **options)

worker.open_media = open_media
worker.serve()
"""

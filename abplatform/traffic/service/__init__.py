"""The decision service: HTTP around :func:`abplatform.traffic.decisions.decide`.

One process, one event loop. What decides is one immutable object behind one reference
(:mod:`.watching`); deciding takes no lock and waits for no disk. A decision is with the operating
system before it is answered and on the disk within 50 ms; events are acknowledged once they are on
the disk.
"""

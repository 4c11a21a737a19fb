"""Telling people: what leaves the outbox of a file, by which channel, and how often it is tried.

A *notice* is a row of the outbox, which the transaction that asked wrote too. A *route* says which events are told to whom, and
a *channel* is how: a webhook, mail, or what Apprise reaches. ``notices`` has the values that all of them share, ``routes_file``
reads the routes and channels, and ``deliverer`` sends what waits.
"""

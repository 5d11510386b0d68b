"""A small scene to try things on: a statue on a deck among other things, with exact masks and photographs."""

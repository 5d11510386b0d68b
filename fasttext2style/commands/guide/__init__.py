"""What `ft2s new` is made of: options.py answers that can be given on the command line · asking.py a question on a
terminal · questions.py which ones, in which order, and the recipe that comes of them · reading.py what an answer must
be · machine.py what is on this machine · estimates.py how long it takes and how large it gets.
"""

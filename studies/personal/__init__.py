"""What a network gains that goes on learning one voice, and what its weights give away of that voice.

``command``: measures, a cell at a time. ``page``: writes what is known. ``privacy``: tries to tell voice and sentences
from the weights. ``voices``: who reads what, and what is kept for the clips; ``clips``: what is asked of a network;
``learning``: variants of the recipe, and what they become; ``results``: the file of all cells.
"""

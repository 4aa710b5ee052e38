"""What mzsane costs, measured next to the same work written the obvious way.

``python -m benchmarks`` runs everything, ``python -m benchmarks --list`` says what there is. All
inputs are seeded random networks; nothing is downloaded and no timing is ever asserted.
"""

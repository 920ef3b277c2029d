"""Runs the Python of a document, block after block in one namespace, smaller and on the host reference: documents.py FILE PREPARE."""
import re
import sys

SMALLER = (('"gpu"', '"host"'), ("filters=64, ", "filters=4, "), ("conv4(ways=5)", "conv4(ways=5, filters=4)"),
           ("tasks=8", "tasks=2"), ("steps=5", "steps=1"))

with open(sys.argv[1], encoding="utf-8") as file:
    blocks = [b for b in re.findall(r"```python\n(.*?)```", file.read(), re.S) if "clmaml" in b or "meta." in b]
if not blocks:
    sys.exit(f"{sys.argv[1]} has no Python")
space: dict = {}
with open(sys.argv[2], encoding="utf-8") as file:
    exec(file.read(), space)
for block in blocks:
    for said, small in SMALLER:
        block = block.replace(said, small)
    exec(compile(block, sys.argv[1], "exec"), space)

"""A steered model behind the chat format that other tools speak: ``python -m iar.serve MODEL --vectors FILE``.

app        routes, key, limits            what came over HTTP, and what goes back
asked      a request, read and checked    -> setting: which steering it asks for
queue      requests that wait             those that arrive together are answered together
wave       their answers                  every setting of a prompt from one tree (`iar.generation.tree`)
reply      completions and chunks         in the words of the protocol
"""

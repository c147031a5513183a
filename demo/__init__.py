"""The story of a gateway, end to end: `make demo`.

    world.py        a folder, certificates, keys, ports and processes
    steps/          what is shown, step by step
    transcript.py   what a step did: commands, their output, and what holds
    screen.py       a transcript for a terminal
    page.py         transcripts as a page of the documentation
    __main__.py     the command

An edge stands before two gateways, and those before four services, each of which is a process of
its own on this machine. The three files of YAML are examples of what `transcoder gateway` serves.
"""

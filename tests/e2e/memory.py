# SPDX-License-Identifier: Apache-2.0
"""Looks for secrets where none may be: memory of processes, their open files, folders. Pieces of them count as well."""

import os
import pathlib
import re

PIECE = 16  # characters: a secret's odds of coming up by chance are nil, and half of a secret is found
RUN = re.compile(rb"[A-Za-z0-9+/=_-]{%d,}" % PIECE)


def pieces(texts):
    return {text[at:at + PIECE].encode() for text in texts for at in range(len(text) - PIECE + 1)}


def writable(pid):
    """What a core image would hold: (what it is, bytes) of each region that can be written to."""
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
            region, rights, _, _, _, *name = line.split(maxsplit=5)
            if "w" not in rights or (name and name[0] in ("[vvar]", "[vsyscall]")):
                continue
            first, end = (int(number, 16) for number in region.split("-"))
            memory.seek(first)
            try:
                yield f"memory of {pid} at {region} {name[0] if name else ''}", memory.read(end - first)
            except OSError:
                continue  # set aside and never touched


def open_files(pid):
    for link in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            if link.is_file():
                yield f"{link} -> {os.readlink(link)}", link.read_bytes()
        except OSError:
            continue


def files(folder):
    for path in pathlib.Path(folder).rglob("*"):
        if path.is_file():
            yield str(path), path.read_bytes()


def find(sources, wanted):
    """[(where, offset, what is there)] of pieces."""
    hits, looked = [], 0
    for where, content in sources:
        looked += len(content)
        for run in RUN.finditer(content):
            text = run.group()
            found = next((at for at in range(len(text) - PIECE + 1) if text[at:at + PIECE] in wanted), None)
            if found is not None:
                hits.append((where, run.start() + found, text[max(0, found - 8):found + 48]))
    return hits, looked

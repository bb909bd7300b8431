"""The text nano learns from, and where it comes from.

    python corpus.py FOLDER

writes FOLDER/corpus.jsonl.gz, one document a line: {"source", "name", "held_out", "text"}.

source  what                                            licence               obtained through
kjv     King James Bible, one document a book           public domain [1]     Debian packages bible-kjv, bible-kjv-text
docs    the Python 3.11 documentation, reST sources     PSF-2.0               Debian package python3.11-doc
docs    the Django 5.2 documentation, reST sources      BSD-3-Clause          PyPI, source archive of Django
code    the standard library of the running Python      PSF-2.0               the interpreter itself
code    Django 5.2, without its tests                   BSD-3-Clause          PyPI, source archive of Django

[1] In the United Kingdom its printing is reserved to the Crown; see NOTICE.

Needs Debian or Ubuntu (apt-get, dpkg), pip and a network.  About one document in sixteen is held out:
it is chosen by a checksum of its name, so the split does not move when documents are added.
"""
import argparse
import gzip
import json
import re
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import zlib
from pathlib import Path

KINDS = ("kjv", "docs", "code")
DEBIAN = ("bible-kjv", "bible-kjv-text", "python3.11-doc")
DJANGO = "Django==5.2"
NOT_CODE = {"test", "tests", "site-packages", "idlelib", "__pycache__", "locale", "encodings", "pydoc_data", "lib2to3"}


def is_held_out(name):
    return zlib.crc32(name.encode()) % 16 == 0


def king_james(root):
    """One verse a line, one document a book."""
    command = [root / "usr/bin/bible", "-p", root / "usr/lib", "-f", "gen1:1-rev22:21"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    books = {}
    for line in lines:
        found = re.match(r"(\d?[A-Za-z]+)\d+:\d+ (.*)", line)
        if found:
            books.setdefault(found[1], []).append(found[2])
    return [("kjv", f"kjv/{book}", "\n".join(verses)) for book, verses in books.items()]


def python_docs(root):
    folder = root / "usr/share/doc/python3.11/html/_sources"
    return [("docs", f"python/{p.relative_to(folder)}", p.read_text()) for p in sorted(folder.rglob("*.rst.txt"))]


def standard_library():
    folder = Path(sysconfig.get_path("stdlib"))
    for path in sorted(folder.rglob("*.py")):
        name = path.relative_to(folder)
        if not NOT_CODE & set(name.parts):
            yield "code", f"cpython/{name}", path.read_text(errors="replace")


def django(archive):
    with tarfile.open(archive) as tar:
        for member in sorted(tar.getmembers(), key=lambda m: m.name):
            name = Path(*Path(member.name).parts[1:])
            is_doc = name.parts[:1] == ("docs",) and name.suffix == ".txt"
            is_code = name.parts[:1] == ("django",) and name.suffix == ".py" and not NOT_CODE & set(name.parts)
            if is_doc or is_code:
                yield "docs" if is_doc else "code", f"django/{name}", tar.extractfile(member).read().decode()


def obtain(folder):
    """Fetch every source into a scratch folder and write the corpus file."""
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        subprocess.run(["apt-get", "download", *DEBIAN], cwd=scratch, check=True)
        for package in scratch.glob("*.deb"):
            subprocess.run(["dpkg", "-x", package, scratch / "root"], check=True)
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", "Django",
                        "-d", scratch, DJANGO], check=True)
        rows = king_james(scratch / "root") + python_docs(scratch / "root") + list(standard_library())
        rows += list(django(next(scratch.glob("[Dd]jango*.tar.gz"))))
    folder.mkdir(parents=True, exist_ok=True)
    with gzip.open(folder / "corpus.jsonl.gz", "wt") as out:
        for source, name, text in rows:
            if len(text) > 200:
                row = {"source": source, "name": name, "held_out": is_held_out(name), "text": text}
                out.write(json.dumps(row) + "\n")


class Corpus:
    """The documents of one side of the split."""

    def __init__(self, folder, held_out):
        with gzip.open(Path(folder) / "corpus.jsonl.gz", "rt") as rows:
            rows = [json.loads(line) for line in rows]
        self.documents = {kind: [(r["name"], r["text"]) for r in rows
                                 if r["source"] == kind and r["held_out"] == held_out] for kind in KINDS}
        self.sizes = {kind: [len(text) for _, text in docs] for kind, docs in self.documents.items()}

    def slice(self, rng, kind, chars):
        """About `chars` characters of running text that start at a line; short documents are joined."""
        parts, missing = [], chars
        while missing > 0:
            text = rng.choices(self.documents[kind], self.sizes[kind])[0][1]
            start = rng.randrange(max(1, len(text) - missing // 2))
            start = text.find("\n", start) + 1
            part = text[start:start + missing]
            parts.append(part)
            missing -= len(part) + 2
        return "\n\n".join(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where corpus.jsonl.gz is written")
    folder = parser.parse_args().folder
    obtain(folder)
    for held_out in (False, True):
        sizes = Corpus(folder, held_out).sizes
        print("held out" if held_out else "training", {kind: (len(s), sum(s)) for kind, s in sizes.items()})


if __name__ == "__main__":
    main()

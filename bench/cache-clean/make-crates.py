"""Makes the folders of crates in a home of cargo: python, because mknod(2) makes an empty file in one call.

argv: home, registry, first, end, now, files, dated: 1 sets the time of every file, 0 of those alone by which a crate is dated.
Crate N is as old as age(N) in home.ts says, and has so many files in one folder for every nine, its archive included.
"""
import os
import sys

home, registry = sys.argv[1:3]
first, end, now, files, dated = (int(each) for each in sys.argv[3:8])
folders = files // 9 or 1
sources = f"{home}/registry/src/{registry}"
archives = f"{home}/registry/cache/{registry}"
os.makedirs(sources, exist_ok=True)
os.makedirs(archives, exist_ok=True)

for index in range(first, end):
    at = now - index * 37 % 90 * 24 * 60 * 60
    name = f"crate-{index}-1.0.{index % 10}"
    source = f"{sources}/{name}"
    os.mkdir(source)
    for folder in range(folders):
        os.mkdir(f"{source}/folder-{folder}")
    root = os.open(source, os.O_RDONLY)
    for file in range(files - 2):
        path = f"folder-{file % folders}/file-{file}.rs"
        os.mknod(path, 0o644, dir_fd=root)
        if dated:
            os.utime(path, (at, at), dir_fd=root)
    os.close(root)
    for path in (f"{source}/.cargo-ok", f"{archives}/{name}.crate"):
        with open(path, "w") as file:
            file.write('{"v":1}')
        os.utime(path, (at, at))
    os.utime(source, (at, at))

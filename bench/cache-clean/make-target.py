"""Makes a project whose target has units that nobody built. argv: project, units, now; unit N was used N * 37 % 90 days ago."""
import os
import sys

project, units, now = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
target = f"{project}/target"
profile = f"{target}/debug"
os.makedirs(f"{project}/src")
for folder in (".fingerprint", "deps", "build", "incremental", "examples"):
    os.makedirs(f"{profile}/{folder}")


def write(path, text, at=now):
    with open(path, "w") as file:
        file.write(text)
    os.utime(path, (at, at))


write(f"{project}/Cargo.toml", '[package]\nname = "project"\nversion = "0.1.0"\nedition = "2021"\n')
write(f"{project}/src/main.rs", "fn main() {}\n")
write(f"{target}/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n")
write(f"{target}/.rustc_info.json", "{}")
write(f"{profile}/.cargo-lock", "")
for index in range(units):
    at = now - index * 37 % 90 * 24 * 60 * 60
    name, unit = f"crate_{index}", f"{index:016x}"
    fingerprint = f"{profile}/.fingerprint/{name}-{unit}"
    os.mkdir(fingerprint)
    write(f"{fingerprint}/lib-{name}", unit, at)
    write(f"{fingerprint}/lib-{name}.json", '{"rustc":7458672600737419911,"features":"[]"}', at)
    write(f"{fingerprint}/dep-lib-{name}", "x", at)
    write(f"{fingerprint}/invoked.timestamp", "x", at)
    for file in (f"lib{name}-{unit}.rlib", f"lib{name}-{unit}.rmeta", f"{name}-{unit}.d"):
        write(f"{profile}/deps/{file}", "x" * 100, at)
    out = f"{profile}/build/{name}-{unit}"
    os.makedirs(f"{out}/out")
    for file in range(13):
        write(f"{out}/out/file-{file}.rs", "x" * 100, at)

#!/bin/sh
# The check people write first. Reads `address commit` a line, says yes or no for each.
# usage: by-clone.sh FOLDER
set -eu
while read -r url sha; do
  folder=$(mktemp -d "$1/clone-XXXXXX")
  git clone --quiet --bare "$url" "$folder"
  if git -C "$folder" merge-base --is-ancestor "$sha" main; then echo yes; else echo no; fi
  rm -rf "$folder"
done

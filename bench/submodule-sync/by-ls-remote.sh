#!/bin/sh
# The cheapest check there is; it knows nothing but the tip. Reads `address commit` a line, says yes or no for each.
set -eu
while read -r url sha; do
  if [ "$(git ls-remote "$url" refs/heads/main | cut -f 1)" = "$sha" ]; then echo yes; else echo no; fi
done

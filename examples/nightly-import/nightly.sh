#!/bin/bash
# Takes in whatever files have come into inbox/. For cron: 15 2 * * * cd /srv/usage && ./nightly.sh
#
# A file that was taken in goes to done/, also when some of its rows were refused: those are kept, and are told of.
# A file that could not be taken in at all stays where it is, for the next night. Running it twice, or while a file is
# sent again, is harmless: the same file counts once.
set -u
mkdir -p inbox done
status=0
for file in inbox/*.csv; do
  [ -e "$file" ] || continue
  npx tallybook import usage "$file" --form data --quiet
  case $? in
    0) mv "$file" done/ ;;
    3) mv "$file" done/; status=3 ;;
    *) echo "$file was not taken in" >&2; status=1 ;;
  esac
done
[ "$status" = 0 ] || npx tallybook rejects list --stream usage --group-by code,field
exit "$status"

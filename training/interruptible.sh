#!/bin/sh
# Train in pieces on a machine that is borrowed for minutes at a time. Each call unpacks the parts of the corpus that have
# come, trains until the time is over or the schedule ends, and leaves the averaged weights and the log to be fetched.
#
#   training/interruptible.sh PARTS KEEP RUN MINUTES [options of training.train, such as --network pvqe-s --device cuda --init FILE]
#
# PARTS: folder of part-*.tar (python -m training.pack_corpus) and, in wheels/, of what that machine's Python lacks.
# KEEP: a folder outside the work tree, which the next call finds again: corpus, cache, and the runs to go on with.
# RUN: a name; its results are RUN.pt and RUN.jsonl.
# MINUTES: 0 to unpack and nothing else.
# $OUT: where results are fetched from (the current folder without it).
set -eu
parts=$1 keep=$2 run=$3 minutes=$4
shift 4
out=${OUT:-.}
mkdir -p "$keep/corpus" "$keep/site" "$out"
for wheel in "$parts"/wheels/*.whl; do
    [ -e "$wheel" ] && python3 -m pip install --quiet --no-deps --no-index --upgrade --target "$keep/site" "$wheel"
done
for part in "$parts"/part-*.tar; do
    [ -e "$part" ] || continue
    tar -xf "$part" -C "$keep/corpus"
done
[ "$minutes" = 0 ] && exit 0
rooms=
[ -d "$keep/corpus/rooms" ] && rooms="--rooms $keep/corpus/rooms"
deliver() {
    if [ -e "$keep/$run/best.pt" ]; then cp "$keep/$run/best.pt" "$out/$run.pt"; fi
    if [ -e "$keep/$run/log.jsonl" ]; then cp "$keep/$run/log.jsonl" "$out/$run.jsonl"; fi
}
# Whatever ends the call, what is there by then is delivered; a call that is cut off finds it delivered a minute ago.
trap deliver EXIT
# Its sleep outlives it, and must not keep the caller waiting for the end of the output.
while sleep 60; do deliver; done >/dev/null 2>&1 &
delivering=$!
status=0
# shellcheck disable=SC2086  # two words, or none
PYTHONPATH="$keep/site${PYTHONPATH:+:$PYTHONPATH}" python3 -m training.train \
    --speech "$keep/corpus/speech" --noise "$keep/corpus/noise" $rooms \
    --cache "$keep/cache" --run "$keep/$run" --minutes "$minutes" "$@" || status=$?
kill $delivering
exit $status

#!/bin/bash
set -e
export LANG='en_US.UTF-8'
export LC_ALL='en_US.UTF-8'
umask 002
export OUTDIR=$HOME/out
GBUILD_BITS=64
GBUILD_CACHE_ENABLED=1
GBUILD_PACKAGE_CACHE=$HOME/cache/sample
GBUILD_COMMON_CACHE=$HOME/cache/common
MAKEOPTS=(-j2)
NUM_PROCS=2
NUM_MEM=2000

(cd build/a && git update-index -q --refresh || :)

REFERENCE_DATETIME='2024-01-31 12:00:00'
REFERENCE_DATE='2024-01-31'
REFERENCE_TIME='12:00:00'

cd build
echo hello > "$OUTDIR/hello"

#!/usr/bin/env bash
# On the GPU machine, in the carried checkout:
#   bash .gpu/run.sh                    everything but test: kernels beside PyTorch's, scoring and decoding beside theirs
#   bash .gpu/run.sh cli ARGUMENTS      the headzip command
#   bash .gpu/run.sh check | measure [decode]    the kernels alone, or only those of a decoding step
#   bash .gpu/run.sh decode [SHAPE]     a decoded token beside the time of its bytes, and beside PyTorch's
#   bash .gpu/run.sh parity             every operation on the GPU against plain loops in double precision
#   bash .gpu/run.sh test [FILES]       test/device, where the checkout's tests came along
# Needs bash, xz or python3, and for the comparison a python3 with torch and transformers.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
scratch=${TMPDIR:-/tmp}/headzip-gpu
mkdir -p "$scratch"

unpacked() {  # FILE.xz to standard output
  if command -v xz > /dev/null; then xz -dc "$1"
  else python3 -c 'import lzma,shutil,sys;shutil.copyfileobj(lzma.open(sys.argv[1]),sys.stdout.buffer,1<<20)' "$1"; fi
}
if [[ ! -x $scratch/node ]]; then
  unpacked "$here/node.xz" > "$scratch/node.part"
  chmod 755 "$scratch/node.part"
  mv "$scratch/node.part" "$scratch/node"
fi
for program in gpu_ladder backend_parity; do
  cp -f "$here/$program" "$scratch/$program"
  chmod 755 "$scratch/$program"
done
export PATH=$scratch:$PATH HEADZIP_ADDON=$here/headzip.node HEADZIP_PARITY=$scratch/backend_parity
# cuBLASLt that came with torch, where the toolkit's is not found
if [[ ! -e /usr/local/cuda/lib64/libcublasLt.so.13 ]] && command -v python3 > /dev/null; then
  library=$(python3 -c 'import sysconfig;print(sysconfig.get_paths()["purelib"])')/nvidia/cu13/lib
  [[ -d $library ]] && export LD_LIBRARY_PATH=$library${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
fi

# The checkout finds its packages and its compiled command where they always are.
if [[ ! -d $scratch/modules ]]; then
  mkdir -p "$scratch/modules.part"
  unpacked "$here/modules.tar.xz" | tar -C "$scratch/modules.part" -xf -
  mv "$scratch/modules.part" "$scratch/modules"
fi
[[ -e node_modules ]] || ln -sfn "$scratch/modules/node_modules" node_modules
rm -rf dist
unpacked "$here/dist.tar.xz" | tar -xf -

cli() { node dist/cli/main.js "$@"; }
tests() { GPU_REQUIRED=1 node node_modules/vitest/vitest.mjs run --no-file-parallelism "$@"; }
all() {
  nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
  cli doctor
  "$scratch/gpu_ladder" check | tail -3
  python3 "$here/kernels_torch.py"
  "$scratch/gpu_ladder" measure decode
  for shape in llama3.2-1b qwen2.5-7b llama3.1-8b; do
    python3 "$here/score_torch.py" "$shape" 124000 --decode
    cli bench --device cuda --shape "$shape" --tokens 124000
    cli bench --device cuda --shape "$shape" --tokens 124000 --decode
    cli bench --device cuda --shape "$shape" --tokens 124000 --sweeps full --gpu-memory 8GiB
    cli bench --device cuda --shape "$shape" --tokens 124000 --kernels
  done
  cli bench --device cuda --shape llama3.1-70b --layers 4 --tokens 124000 --sweeps full --gpu-memory 24GiB
}

decode() {
  local shape=${1:-qwen2.5-7b}
  "$scratch/gpu_ladder" measure decode
  cli bench --device cuda --shape "$shape" --tokens 124000 --decode
  python3 "$here/score_torch.py" "$shape" 124000 --decode-only
}

case ${1:-all} in
  all) all ;;
  decode) shift; decode "$@" ;;
  cli) shift; cli "$@" ;;
  check | measure) "$scratch/gpu_ladder" "$@" ;;
  parity) "$HEADZIP_PARITY" cuda ;;
  test) shift; tests "${@:-test/device}" ;;
  *) sed -n '2,9p' "$0"; exit 2 ;;
esac
